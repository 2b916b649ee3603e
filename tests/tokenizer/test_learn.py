"""Which strings become tokens."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.core.errors import InputError
from jp_adapt.text.scripts import EVERYDAY_CHARS, is_japanese, script_of
from jp_adapt.tokenizer.admission import begins_japanese, is_admissible
from jp_adapt.tokenizer.bpe import BpeTokenizer, text_of
from jp_adapt.tokenizer.extend import append_tokens
from jp_adapt.tokenizer.learn import learn_tokens
from jp_adapt.tokenizer.load import LoadedTokenizer
from jp_adapt.tokenizer.words import Corpus, Words, count_words
from tests.conftest import ROOT
from tests.properties import examples
from tests.tokenizer.conftest import Trio, small_ranks, tiktoken_spec, train_small


def words_of(base: BpeTokenizer, *sources: list[str], weights: tuple[float, ...] = ()) -> Words:
    corpus = Corpus()
    for number, texts in enumerate(sources):
        corpus.add(str(number), texts, weights[number] if weights else 1.0)
    return count_words(corpus, base.words)


def lines(text: str, number: int) -> str:
    """`text` on so many lines of its own, none the same as another (a line counts once)."""
    return "\n".join(f"{place} {text}" for place in range(number))


@pytest.mark.parametrize(
    ("token", "admissible"),
    [
        ("日本".encode(), True),
        ("日本語日本語日本".encode(), True),
        ("日本語日本語日本語".encode(), False),  # nine characters
        (" 日本".encode(), True),
        (" 日本語日本語日本".encode(), True),  # the space does not count
        (" 日本語日本語日本語".encode(), False),
        ("日 本".encode(), False),
        ("日本 ".encode(), False),
        ("  日本".encode(), False),
        (b" ", False),
        (b" \xe3\x81", False),
        (b"\xe3\x81", True),  # begins hiragana
        (b"\xe6\x97", True),
        (b"\xef\xbc", True),  # begins full-width forms
        (b"\xf0\xa0", True),  # begins Ext-B kanji
        (b"\xf0\xa0\xae", True),
        (b"\xf0\x9f", False),  # begins emoji
        (b"\xe3\x84", False),  # begins bopomofo and Hangul letters
        (b"\xef\xb8", False),  # begins variation selectors
        (b"\xef\xbf", False),  # begins U+FFFD
        (b"\xec\x95", False),  # begins Hangul
        (b"\xe2\x98", False),
        (b"\xc3", False),
        (b"\x81\x82", False),  # the end of a character
        ("日".encode() + b"\xe6\x9c", False),  # a character and a part
        (b"\xe6\x97\xe6", False),
        ("日a".encode(), False),
        ("a日".encode(), False),
        ("\u3000".encode(), False),
        (b"the", False),
        (b"", False),
    ],
)
def test_what_may_become_a_token(token: bytes, admissible: bool) -> None:
    assert is_admissible(token, 8) is admissible


def test_partial_characters_are_those_of_some_japanese_character() -> None:
    beginnings = {
        char[:size] for code in [*range(0x80, 0xD800), *range(0xE000, 0x40000)] if script_of(chr(code)) for char in [chr(code).encode()] for size in (1, 2, 3)
    }
    partial = [token for token in beginnings if len(token) < (4 if token[0] >= 0xF0 else 3)]
    assert [token for token in partial if not begins_japanese(token)] == [b"\xef\xbf"], "the one exception, for the sake of U+FFFD"
    others = {chr(code).encode()[:size] for code in [*range(0x800, 0xD800), *range(0xE000, 0x110000, 64)] for size in (1, 2)} - beginnings
    assert [token for token in others if begins_japanese(token)] == []


def test_every_learned_token_is_admissible_and_new(trio: Trio) -> None:
    base, extension, _ = trio
    learned = extension.tokens[len(base.tokenizer.missing_bytes) :]
    assert all(is_admissible(token, 12) for token in learned)
    assert len(set(learned)) == len(learned)
    assert base.tokenizer.ids.keys().isdisjoint(extension.tokens)


def test_a_sentencepiece_base_gets_no_part_of_a_character(sp_trio: Trio) -> None:
    assert all(token.decode("utf-8") for token in sp_trio.extension.tokens)


def test_known_small_case(sp: LoadedTokenizer) -> None:
    """Two characters that the base spells with bytes, the space with the first, and the word itself: that is what is used then, and nothing else."""
    base = sp.tokenizer
    words = words_of(base, [lines("猫が", 9)])
    assert words.texts == ["▁猫が"]
    tokens, counts = learn_tokens(base, words, 4, cover=False)
    assert [token.decode() for token in tokens[:2]] == ["が", "猫"] or [token.decode() for token in tokens[:2]] == ["猫", "が"]
    assert [token.decode() for token in tokens[2:]] == [" 猫", " 猫が"]
    assert counts.tolist() == [0.0, 0.0, 0.0, 9.0]


def test_counts_are_those_of_the_words_cut_with_the_tokens(trio: Trio, japanese: list[str]) -> None:
    base = trio.base.tokenizer
    words = words_of(base, japanese[:12])
    tokens, counts = learn_tokens(base, words, 60)
    runtime = append_tokens(base, [], tokens)
    results: Counter[int] = Counter()
    for ids, total in zip(runtime.split(words.texts), words.totals.tolist(), strict=True):
        for token_id in ids:
            results[token_id] += total
    first = base.vocab_size
    np.testing.assert_allclose(counts, [results[first + place] for place in range(60)])


def test_a_base_without_a_byte_of_the_text_learns_from_the_rest(small: BpeTokenizer) -> None:
    """F0 begins kanji outside of the BMP; no token crosses it before it is a token itself."""
    spec = copy.deepcopy(small.spec)
    lacking = small.to_text(b"\xf0")
    del spec["model"]["vocab"][lacking]
    spec["model"]["merges"] = [merge for merge in spec["model"]["merges"] if lacking not in "".join(merge)]
    base = BpeTokenizer(spec)
    words = words_of(base, ["𠮷野\n日本𠮷日本", "2 日本日本", "3 𠮷"])
    tokens, counts = learn_tokens(base, words, None, min_count=3)
    assert dict(zip(tokens, counts.tolist(), strict=True))["日本".encode()] == 4.0
    assert not [token for token in tokens if b"\xf0" in token]


def test_weights_that_are_fractions_add_up() -> None:
    """Ten uses at a weight of 0.1 are one."""
    base = train_small()
    words = words_of(base, [lines("猫", 10)], weights=(0.1,))
    tokens, counts = learn_tokens(base, words, None, min_count=1)
    assert dict(zip(tokens, counts.tolist(), strict=True))[" 猫".encode()] == 1.0


texts = st.lists(st.text(alphabet="猫犬がをにし、。カー 漢a\n", min_size=1, max_size=25), min_size=1, max_size=12)


def check_reachable(base: BpeTokenizer, words: Words, num_tokens: int, **options: int | bool) -> None:
    try:
        tokens, counts = learn_tokens(base, words, num_tokens, **options)  # type: ignore[arg-type]
    except InputError as error:
        available = int(str(error).split("gives ")[1].split()[0])
        assert available < num_tokens
        if not available:
            return
        num_tokens = available
        tokens, counts = learn_tokens(base, words, num_tokens, **options)  # type: ignore[arg-type]
    assert len(tokens) == len(counts) == num_tokens
    runtime = append_tokens(base, [], tokens)
    assert runtime.split([base.to_text(token) for token in tokens]) == [[base.vocab_size + place] for place in range(num_tokens)]


@examples(60)
@given(texts, st.integers(1, 40), st.booleans(), st.integers(1, 3), st.integers(1, 6))
@pytest.mark.parametrize("name", ["small", "sp", "tik"])
def test_pruning_never_leaves_a_token_that_nothing_reaches(
    request: pytest.FixtureRequest, name: str, texts: list[str], num_tokens: int, cover: bool, min_count: int, longest: int
) -> None:
    results = request.getfixturevalue(name)
    base = results if name == "small" else results.tokenizer
    check_reachable(base, words_of(base, texts), num_tokens, cover=cover, min_count=min_count, max_token_chars=longest)


def test_a_token_of_the_base_that_new_ones_bring_to_life_is_merged_as_a_runtime_does() -> None:
    """Llama-3 has ーション, which nothing reaches: with ーシ and ョン it comes first, and what was to be made of ケーシ and ョン would never be reached."""
    ranks = dict(small_ranks())
    for char in "ケーション":
        for token in (char.encode()[:2], char.encode()):
            ranks.setdefault(token, len(ranks))
    ranks["ーション".encode()] = len(ranks)
    base = BpeTokenizer(tiktoken_spec(ranks))
    assert base.split([base.to_text("ーション".encode())]) != [[ranks["ーション".encode()]]]
    counts = {"ョン": 900, "ーシ": 400, "ケーシ": 350, "ンケーシ": 300, "ンケーション": 60}
    texts = ["\n".join(f"{place}{text}" for place in range(number)) for text, number in counts.items()]
    check_reachable(base, words_of(base, texts), 6, cover=False)
    tokens, _ = learn_tokens(base, words_of(base, texts), 6, cover=False)
    assert tokens == [text.encode() for text in ("ーシ", "ョン", "ケーシ", "ンケーシ", "ケーション", "ンケーション")], "of ケ and the base's own token"


@pytest.mark.parametrize("num_tokens", [1, 7, 33, 150, 401, 900])
def test_every_number_of_tokens_from_real_text_is_reached(trio: Trio, japanese: list[str], num_tokens: int) -> None:
    base = trio.base.tokenizer
    check_reachable(base, words_of(base, japanese[:20]), num_tokens)


def test_few_new_tokens_are_not_spent_on_characters_that_the_corpus_lacks(sp: LoadedTokenizer, japanese: list[str]) -> None:
    """3,100 everyday characters are more than a quarter of these few tokens: usage alone decides."""
    base = sp.tokenizer
    words = words_of(base, japanese[:5])
    here = {char for text in words.texts for char in text}
    tokens, _ = learn_tokens(base, words, 100)
    assert all(set(token.decode().replace(" ", "▁")) <= here for token in tokens)


def test_cover_adds_everyday_characters_that_the_corpus_lacks(trio: Trio, japanese: list[str]) -> None:
    base = trio.base.tokenizer
    words = words_of(base, [text.replace("竜", "").replace("虎", "") for text in japanese[:3]])
    every, _ = learn_tokens(base, words, None)
    assert len(base.spell("竜".encode())) > 1
    with pytest.raises(InputError, match=rf"the corpus gives {len(every)} Japanese strings"):
        learn_tokens(base, words, len(every) + 1, cover=False)
    tokens, counts = learn_tokens(base, words, len(every) + 2_900)
    absent = [tokens.index("竜".encode()), tokens.index("虎".encode())]
    assert [counts[place] for place in absent] == [0.0, 0.0]
    assert sum(text_of(token) is not None and token.decode() in EVERYDAY_CHARS for token in tokens) > 2_000


def test_where_few_tokens_are_asked_for_everyday_characters_change_nothing(trio: Trio, japanese: list[str]) -> None:
    base = trio.base.tokenizer
    words = words_of(base, japanese[:60])
    with_them, without = (learn_tokens(base, words, 200, cover=cover)[0] for cover in (True, False))
    assert len(set(with_them) & set(without)) > 190


def test_everyday_characters_come_before_what_stands_less_often_than_is_expected_of_them(smollm2: BpeTokenizer, japanese: list[str]) -> None:
    words = words_of(smollm2, japanese[:30])
    characters = [
        sum(token.decode(errors="replace") in EVERYDAY_CHARS for token in learn_tokens(smollm2, words, 1_700, cover=cover)[0]) for cover in (True, False)
    ]
    assert characters[0] > characters[1] + 10


def test_min_count_is_kept_by_candidates(sp: LoadedTokenizer) -> None:
    base = sp.tokenizer
    words = words_of(base, [lines("猫", 4), lines("犬", 3)])
    for min_count, known in ((3, {" 猫", " 犬", "猫", "犬"}), (4, {" 猫", "猫"}), (5, set())):
        available = set()
        for number in (1, 2, 3, 4):
            try:
                available |= {token.decode() for token in learn_tokens(base, words, number, min_count=min_count, cover=False)[0]}
            except InputError:
                break
        assert available <= known
        assert bool(available) == bool(known)


@pytest.mark.parametrize("longest", [1, 2, 3, 5])
def test_longest_token_is_kept(trio: Trio, japanese: list[str], longest: int) -> None:
    base = trio.base.tokenizer
    tokens, _ = learn_tokens(base, words_of(base, japanese[:20]), 150, max_token_chars=longest, cover=False)
    assert max(len(token.decode("utf-8", errors="ignore").removeprefix(" ")) for token in tokens) <= longest


def test_weights_decide_between_sources(sp: LoadedTokenizer) -> None:
    base = sp.tokenizer
    first, second = [lines("猫が鳴く", 20)], [lines("犬が走る", 20)]

    def longest(weights: tuple[float, float]) -> str:
        tokens, _ = learn_tokens(base, words_of(base, first, second, weights=weights), 12, cover=False)
        return max((token.decode() for token in tokens), key=len)

    assert longest((1.0, 0.2)).startswith(" 猫が鳴")
    assert longest((0.2, 1.0)).startswith(" 犬が走")


def test_a_phrase_of_one_source_is_worth_less_than_one_of_all(sp: LoadedTokenizer) -> None:
    """40 uses in one source against 11 in each of three: the square root of the uses, source by source, prefers the second."""
    base = sp.tokenizer
    local, common = "禁煙席", "新聞紙"
    sources = [[lines(local, 40)], *([lines(common, 11).replace(" ", f"{name} ")] for name in "abc")]
    words = words_of(base, *sources)
    results = []
    for number in range(6, 13):
        whole = {token.decode().removeprefix(" ") for token in learn_tokens(base, words, number, cover=False)[0]}
        results.append((local in whole, common in whole))
    assert results[-1] == (True, True)
    assert (False, True) in results
    assert (True, False) not in results


def test_too_many_says_how_many_there_are(small: BpeTokenizer) -> None:
    words = words_of(small, [lines("日本語の文。", 5)])
    with pytest.raises(
        InputError, match=r"asked for 500 new tokens, and the corpus gives (\d+) Japanese strings .* ask for fewer tokens, or lower min_count"
    ) as caught:
        learn_tokens(small, words, 500, cover=False)
    available = int(str(caught.value).split("gives ")[1].split()[0])
    assert available > 5
    assert len(learn_tokens(small, words, available, cover=False)[0]) == available


def test_learning_repeats_exactly(trio: Trio, japanese: list[str]) -> None:
    base = trio.base.tokenizer
    first, second = (learn_tokens(base, words_of(base, japanese[:15]), 120) for _ in range(2))
    assert first[0] == second[0]
    assert first[1].tolist() == second[1].tolist()


def test_learning_repeats_in_another_process() -> None:
    """Python's hashes of strings are not the same there."""
    code = (
        "from tests.tokenizer.conftest import *; from tests.tokenizer.test_learn import *; base = load_sentencepiece(train_sentencepiece()).tokenizer; "
        "tokens, counts = learn_tokens(base, words_of(base, documents('ja_train.jsonl')[:15]), 300); print([token.hex() for token in tokens], counts.tolist())"
    )
    results = [
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, text=True, timeout=60, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    assert results[0] == results[1]
    assert len(results[0]) > 3000


def test_tokens_are_japanese_with_at_most_one_space(trio: Trio) -> None:
    for token in trio.extension.tokens[len(trio.base.tokenizer.missing_bytes) :]:
        text = token.decode("utf-8", errors="replace")
        assert "\ufffd" in text or is_japanese(text.removeprefix(" "))


@pytest.mark.parametrize("cover", [True, False])
def test_fewer_tokens_are_the_beginning_of_more(trio: Trio, japanese: list[str], cover: bool) -> None:
    base = trio.base.tokenizer
    words = words_of(base, japanese[:30], japanese[30:50])
    most, _ = learn_tokens(base, words, 700, cover=cover)
    for number in (1, 50, 333):
        assert learn_tokens(base, words, number, cover=cover)[0] == most[:number]


def test_every_beginning_of_the_list_reaches_all_of_its_tokens(trio: Trio, japanese: list[str]) -> None:
    base = trio.base.tokenizer
    tokens, _ = learn_tokens(base, words_of(base, japanese[:30]), 300)
    for number in (1, 2, 3, 20, 111, 250):
        runtime = append_tokens(base, [], tokens[:number])
        assert runtime.split([base.to_text(token) for token in tokens[:number]]) == [[base.vocab_size + place] for place in range(number)]


def test_all_that_stand_often_enough_come_in_where_no_number_is_given(sp: LoadedTokenizer) -> None:
    base = sp.tokenizer
    words = words_of(base, [lines("猫", 4), lines("犬", 3)])
    tokens, counts = learn_tokens(base, words, None, min_count=4)
    assert [token.decode() for token in tokens] == ["猫", " 猫"]
    assert counts.tolist() == [0.0, 4.0]
