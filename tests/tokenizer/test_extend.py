"""An extended tokenizer does everything the base did, and reads Japanese in fewer tokens."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jp_adapt.core.errors import InputError
from jp_adapt.text.scripts import is_japanese
from jp_adapt.tokenizer.bpe import BpeTokenizer
from jp_adapt.tokenizer.extend import Extension, append_tokens, extend_tokenizer, is_admissible
from jp_adapt.tokenizer.verify import verify_tokenizer
from tests.properties import examples

Pair = tuple[BpeTokenizer, Extension]

FRAGMENTS = [
    *("日本", "語", "を", "。", "、", "カタカナ", "ー", "\u3000", "です。", "祖母の台所", "今日はいい天気", "１２３", "（笑）"),
    *("\x00", "\x04", "\x1d", "\x7f", "\r\n", "\n\n", "\t", "    ", " ", "  a  b "),
    *("𠮷", "𩸽", "葛\U000e0100", "神\ufe00", "辻\U000e0101"),
    *("👨\u200d👩\u200d👧", "👍🏽", "🇯🇵", "☀\ufe0f"),
    *("ﾊﾟ", "ｶﾞ", "ｱｲｳ", "か\u3099", "は\u309a", "ㄱ", "한국어", "ẞ", "é", "Ω", "№", "\ufffd", "\ufeff", "\U00040000", "\U0010ffff"),
    *("the ", "def f(x):", "1234", "don't", "<|", "|>"),
]
any_text = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=6)), max_size=12).map("".join)
ascii_text = st.text(alphabet=st.characters(max_codepoint=0x7E), max_size=60)


def _decode(tokenizer: BpeTokenizer, text: str) -> str:
    return tokenizer.runtime.decode(tokenizer.encode(text), skip_special_tokens=False)


def _loses_bytes(tokenizer: BpeTokenizer, text: str) -> bool:
    return not set(tokenizer.missing_bytes).isdisjoint(text.encode("utf-8"))


@examples(150)
@given(any_text)
@example("".join(FRAGMENTS))
@example("".join(map(chr, range(0x20))))
def test_every_text_round_trips_and_is_never_longer(pair: Pair, text: str) -> None:
    base, extension = pair
    ids = extension.tokenizer.encode(text)
    assert extension.tokenizer.runtime.decode(ids, skip_special_tokens=False) == text
    if not _loses_bytes(base, text):
        assert len(ids) <= len(base.encode(text))


@examples(150)
@given(ascii_text)
def test_ascii_text_keeps_its_ids(pair: Pair, text: str) -> None:
    base, extension = pair
    if not _loses_bytes(base, text):
        assert extension.tokenizer.encode(text) == base.encode(text)


@examples(100)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], max_codepoint=0x2FFF), max_size=20))
def test_text_of_other_alphabets_keeps_its_ids(pair: Pair, text: str) -> None:
    base, extension = pair
    if not _loses_bytes(base, text):
        assert extension.tokenizer.encode(text) == base.encode(text)


def test_english_documents_keep_their_ids(pair: Pair, english: list[str]) -> None:
    base, extension = pair
    assert [extension.tokenizer.encode(text) for text in english] == [base.encode(text) for text in english]


def test_every_criterion_holds(pair: Pair, japanese: list[str], english: list[str]) -> None:
    base, extension = pair
    criteria = verify_tokenizer(base, extension.tokenizer, japanese=japanese[:40], unchanged=english)
    assert {criterion.name: criterion.failures for criterion in criteria} == {
        "base_ids_changed": 0,
        "unreachable_new_tokens": 0,
        "changed_english_lines": 0,
        "longer_inputs": 0,
        "round_trip_failures": 0,
    }


def test_base_ids_are_unchanged_and_new_ids_follow(pair: Pair) -> None:
    base, extension = pair
    assert extension.first_new_id == base.vocab_size
    assert extension.tokenizer.ids.items() >= base.ids.items()
    assert [extension.tokenizer.ids[token] for token in extension.tokens] == list(range(base.vocab_size, extension.vocab_size))
    assert extension.tokenizer.vocab_size == extension.vocab_size == base.vocab_size + len(extension.tokens)
    assert extension.tokenizer.spec["model"]["merges"][: len(base.spec["model"]["merges"])] == base.spec["model"]["merges"]
    assert extension.tokenizer.spec["added_tokens"] == base.spec["added_tokens"]


def test_the_base_is_left_alone(small: BpeTokenizer, japanese: list[str]) -> None:
    before = json.dumps(small.spec)
    extend_tokenizer(small, japanese[:5], 20)
    assert json.dumps(small.spec) == before


def test_new_tokens_are_japanese_and_as_many_as_asked(pair: Pair) -> None:
    base, extension = pair
    learned = extension.tokens[len(base.missing_bytes) :]
    assert len(learned) == 300
    assert all(is_admissible(token, 8) for token in learned)
    whole = [text for token in learned if "\ufffd" not in (text := token.decode("utf-8", errors="replace"))]
    assert len(whole) > 100
    assert all(is_japanese(text) for text in whole)


def test_sources_spell_the_new_tokens_with_base_ids(pair: Pair) -> None:
    base, extension = pair
    token_of = {token_id: token for token, token_id in base.ids.items()}
    for token, sources in zip(extension.tokens, extension.sources, strict=True):
        if len(token) == 1:  # a byte that the base lacks has nothing to be spelled with
            assert sources == []
        else:
            assert b"".join(token_of[source] for source in sources) == token
            assert len(sources) >= 2


def test_counts_are_those_of_the_encoded_corpus(pair: Pair, japanese: list[str]) -> None:
    base, extension = pair
    found = [token_id for text in japanese[:60] for token_id in extension.tokenizer.encode(text)]
    expected = [found.count(token_id) for token_id in range(base.vocab_size, extension.vocab_size)]
    assert extension.counts == expected
    assert sum(expected) > 1000


def test_japanese_takes_fewer_tokens(pair: Pair, japanese: list[str]) -> None:
    base, extension = pair
    unseen = japanese[-20:]
    before, after = (sum(len(tokenizer.encode(text)) for text in unseen) for tokenizer in (base, extension.tokenizer))
    assert after < 0.75 * before


def test_extension_repeats_exactly(small: BpeTokenizer, japanese: list[str]) -> None:
    first, second = (extend_tokenizer(small, japanese[:10], 80) for _ in range(2))
    assert json.dumps(first.tokenizer.spec) == json.dumps(second.tokenizer.spec)
    assert (first.tokens, first.sources, first.counts) == (second.tokens, second.sources, second.counts)


def test_missing_bytes_of_smollm2_are_mended(smollm2: BpeTokenizer, smollm2_extension: Extension) -> None:
    assert smollm2_extension.tokens[:8] == [bytes([byte]) for byte in smollm2.missing_bytes]
    text = "".join(map(chr, range(0x20))) + "\U00040000\U00080000\U0010ffff"
    assert _decode(smollm2, text) != text
    assert _decode(smollm2_extension.tokenizer, text) == text


def test_emoji_in_a_japanese_corpus_leave_emoji_alone(pair: Pair, japanese: list[str]) -> None:
    base, _ = pair
    texts = [f"{text} 😀👍🎉😀👍🎉 ㄱㄴㄷ ☀\ufe0f" for text in japanese[:10]]
    extension = extend_tokenizer(base, texts, 80)
    plain = ["nice 😀 party 🎉 👍", "ㄱㄴㄷ", "☀\ufe0f ✌\ufe0f"]
    assert [extension.tokenizer.encode(text) for text in plain] == [base.encode(text) for text in plain]
    assert not [c for c in verify_tokenizer(base, extension.tokenizer, japanese=texts, unchanged=plain) if c.failures]


@pytest.mark.parametrize(
    ("token", "admissible"),
    [
        ("日本".encode(), True),
        ("日本語日本語日本".encode(), True),
        ("日本語日本語日本語".encode(), False),  # nine characters
        (b"\xe3\x81", True),  # begins hiragana
        (b"\xe6\x97", True),
        (b"\xef\xbc", True),  # begins full-width forms
        (b"\xf0\xa0", True),  # begins Ext-B kanji
        (b"\xf0\xa0\xae", True),
        (b"\xf0\x9f", False),  # begins emoji
        (b"\xe3\x84", False),  # begins bopomofo and Hangul letters
        (b"\xef\xb8", False),  # begins variation selectors
        (b"\xec\x95", False),  # begins Hangul
        (b"\xe2\x98", False),
        (b"\xc3", False),
        (b"\x81\x82", False),  # the end of a character
        ("日".encode() + b"\xe6\x9c", False),  # a character and a part
        (b"\xe6\x97\xe6", False),
        ("日a".encode(), False),
        ("\u3000".encode(), False),
        (b"the", False),
        (b"", False),
    ],
)
def test_what_may_become_a_token(token: bytes, admissible: bool) -> None:
    assert is_admissible(token, 8) is admissible


@pytest.mark.parametrize("texts", [[], [""]])
def test_empty_corpus_is_an_input_error(small: BpeTokenizer, texts: list[str]) -> None:
    with pytest.raises(InputError, match="corpus of the tokenizer stage is empty"):
        extend_tokenizer(small, texts, 10)


def test_corpus_without_japanese_is_an_input_error(small: BpeTokenizer, english: list[str]) -> None:
    with pytest.raises(InputError, match="asked for 10 new tokens, and the corpus gives 0 Japanese strings that stand at least 2 times"):
        extend_tokenizer(small, english, 10)


def test_asking_for_too_many_tokens_says_how_many_there_are(small: BpeTokenizer) -> None:
    with pytest.raises(
        InputError, match=r"asked for 500 new tokens, and the corpus gives (\d+) Japanese .* ask for fewer tokens, or lower min_count"
    ) as caught:
        extend_tokenizer(small, ["日本語の文。" * 3], 500)
    available = int(str(caught.value).split("gives ")[1].split()[0])
    assert available > 5
    assert len(extend_tokenizer(small, ["日本語の文。" * 3], available).tokens) == available


def test_max_token_chars_is_kept(small: BpeTokenizer, japanese: list[str]) -> None:
    extension = extend_tokenizer(small, japanese[:10], 60, max_token_chars=1)
    assert max(len(token) for token in extension.tokens) == 3


def test_merges_written_as_text_stay_text(small: BpeTokenizer) -> None:
    merges = [" ".join(pair) for pair in small.spec["model"]["merges"]]
    old_style = BpeTokenizer({**small.spec, "model": {**small.spec["model"], "merges": merges}})
    tokens = [b"\xe6\x97", "日".encode()]
    extended = append_tokens(old_style, [], tokens)
    assert all(isinstance(merge, str) for merge in extended.spec["model"]["merges"])
    assert extended.encode("日") == append_tokens(small, [], tokens).encode("日") == [old_style.vocab_size + 1]


def test_special_tokens_outside_the_vocabulary_keep_their_ids(small: BpeTokenizer, japanese: list[str]) -> None:
    """Llama-3 names its special tokens in `added_tokens` alone, after the vocabulary: the runtime numbers them anew when the vocabulary grows."""
    vocab = {token: token_id - 2 for token, token_id in small.spec["model"]["vocab"].items() if token_id >= 2}
    added = [{**token, "id": len(vocab) + place} for place, token in enumerate(small.spec["added_tokens"])]
    base = BpeTokenizer({**small.spec, "model": {**small.spec["model"], "vocab": vocab}, "added_tokens": added})
    extension = extend_tokenizer(base, japanese[:10], 40)
    assert extension.first_new_id == base.vocab_size == 600
    assert [extension.tokenizer.runtime.token_to_id(token["content"]) for token in added] == [598, 599]
    assert extension.tokenizer.encode("a<|im_start|>b") == base.encode("a<|im_start|>b")
    assert not [c for c in verify_tokenizer(base, extension.tokenizer, japanese=japanese[:10]) if c.failures]


def test_real_llama3_tokenizer_is_extended(shared_data: Path, english: list[str]) -> None:
    base = BpeTokenizer.load(shared_data / "tokenizers" / "llama3")
    texts: list[str] = []
    with gzip.open(shared_data / "corpora" / "ja" / "debian_reference.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            texts.append(json.loads(line)["text"][:20_000])
            if sum(map(len, texts)) > 60_000:
                break
    extension = extend_tokenizer(base, texts, 200)
    assert len(extension.tokens) == 200
    criteria = verify_tokenizer(base, extension.tokenizer, japanese=texts, unchanged=english)
    assert {criterion.name: criterion.failures for criterion in criteria if criterion.failures} == {}
    special = {token["content"]: token["id"] for token in base.spec["added_tokens"]}
    assert len(special) == 256
    assert {text: extension.tokenizer.runtime.token_to_id(text) for text in special} == special
    assert extension.first_new_id == 128_256
    before, after = (sum(len(tokenizer.encode(text)) for text in texts) for tokenizer in (base, extension.tokenizer))
    assert after < before


def test_frequent_full_width_yen_leaves_the_replacement_character_alone(small: BpeTokenizer) -> None:
    extended = extend_tokenizer(small, ["￥￥￥ 値段は￥です。" * 30, "今日は雨です。" * 30], 12).tokenizer
    assert extended.encode("broken \ufffd text") == small.encode("broken \ufffd text")
