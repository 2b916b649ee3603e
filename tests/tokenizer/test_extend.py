"""An extended tokenizer does everything the base did, in every runtime, and reads Japanese in fewer tokens."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jp_adapt.core.errors import InputError
from jp_adapt.text.morphology import words as unidic_words
from jp_adapt.text.scripts import is_japanese
from jp_adapt.tokenizer.admission import is_admissible
from jp_adapt.tokenizer.bpe import BpeTokenizer
from jp_adapt.tokenizer.extend import Extension, append_tokens, extend_tokenizer
from jp_adapt.tokenizer.load import LoadedTokenizer, load_tokenizer
from jp_adapt.tokenizer.runtimes import Runtime, runtimes_of
from jp_adapt.tokenizer.verify import verify_tokenizer
from jp_adapt.tokenizer.words import Corpus
from tests.properties import examples
from tests.tokenizer.conftest import Trio, extend_loaded

FRAGMENTS = [
    *("日本", "語", "を", "。", "、", "カタカナ", "ー", "\u3000", "です。", "祖母の台所", "今日はいい天気", "１２３", "（笑）", " を", " 日本"),
    *("\x00", "\x04", "\x1d", "\x7f", "\x80", "\x9f", "\r\n", "\n\n", "\t", "    ", " ", "  a  b ", "\u2028", "\x85"),
    *("▁", "▁▁", " ▁ ", "▁日本", "▁the", "<0x0A>", "<0xE3>", "<unk>", "<s>", "</s>"),
    *("𠮷", "𩸽", "葛\U000e0100", "神\ufe00", "辻\U000e0101", "𰻞"),
    *("👨\u200d👩\u200d👧", "👍🏽", "🇯🇵", "☀\ufe0f", "1\ufe0f\u20e3"),
    *("ﾊﾟ", "ｶﾞ", "ｱｲｳ", "か\u3099", "は\u309a", "ㄱ", "한국어", "ẞ", "é", "e\u0301", "Ω", "№", "\ufffd", "\ufeff", "\U00040000", "\U0010ffff"),
    *("the ", "def f(x):", "1234", "don't", "<|", "|>", "<|endoftext|>", "<|im_start|>", "<|special_0|>", "<|special_255|>日本"),
]
any_text = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(max_size=6)), max_size=12).map("".join)
ascii_text = st.text(alphabet=st.characters(max_codepoint=0x7E), max_size=60)
other_alphabets = st.text(alphabet=st.characters(exclude_categories=["Cs"], max_codepoint=0x2FFF), max_size=20)


def _loses_bytes(tokenizer: BpeTokenizer, text: str) -> bool:
    return bool(tokenizer.missing_bytes) and not set(tokenizer.missing_bytes).isdisjoint(text.encode("utf-8"))


@pytest.fixture(scope="session")
def runtimes(trio: Trio) -> list[tuple[Runtime, Runtime]]:
    """Each runtime of the base with that of the extension."""
    results = list(zip(runtimes_of(trio.base), runtimes_of(trio.extended), strict=True))
    assert [old.name for old, _ in results] == [new.name for _, new in results]
    return results


def test_every_family_runs_in_its_native_runtime_too(small_trio: Trio, smollm2_trio: Trio, sp_trio: Trio, tik_trio: Trio) -> None:
    names = [[runtime.name for runtime in runtimes_of(trio.extended)] for trio in (small_trio, smollm2_trio, sp_trio, tik_trio)]
    assert names == [["tokenizers"], ["tokenizers"], ["tokenizers", "sentencepiece"], ["tokenizers", "tiktoken"]]


@examples(60)
@given(any_text)
@example("".join(FRAGMENTS))
@example("".join(map(chr, range(0x20))))
@example("")
def test_every_text_comes_back_and_is_never_longer(trio: Trio, runtimes: list[tuple[Runtime, Runtime]], text: str) -> None:
    for old, new in runtimes:
        before, after = old.encode([text])[0], new.encode([text])[0]
        decoded = new.decode(after)
        if not trio.base.tokenizer.is_sentencepiece:  # there "▁" and a text of special tokens come back as they do from the base
            assert decoded == text
        assert decoded == text or decoded == old.decode(before)
        if not _loses_bytes(trio.base.tokenizer, text):
            assert len(after) <= len(before)


@examples(60)
@given(any_text)
@example("".join(FRAGMENTS))
def test_the_runtimes_agree(trio: Trio, runtimes: list[tuple[Runtime, Runtime]], text: str) -> None:
    """Everywhere but where SentencePiece takes a special token for text, which is so in every SentencePiece model."""
    if trio.base.tokenizer.is_sentencepiece and any(special in text for special in trio.base.tokenizer.special_texts):
        return
    assert len({tuple(new.encode([text])[0]) for _, new in runtimes}) == 1


@examples(60)
@given(ascii_text)
def test_ascii_text_keeps_its_ids(trio: Trio, runtimes: list[tuple[Runtime, Runtime]], text: str) -> None:
    if not _loses_bytes(trio.base.tokenizer, text):
        for old, new in runtimes:
            assert new.encode([text]) == old.encode([text])


@examples(60)
@given(other_alphabets)
def test_text_of_other_alphabets_keeps_its_ids(trio: Trio, runtimes: list[tuple[Runtime, Runtime]], text: str) -> None:
    if not _loses_bytes(trio.base.tokenizer, text):
        for old, new in runtimes:
            assert new.encode([text]) == old.encode([text])


@examples(60)
@given(st.lists(st.sampled_from(["日本", "語", " を", "は", "。", "台所", " ", "a", "１", "ー", "カ", "𠮷"]), max_size=30).map("".join))
def test_japanese_in_any_order_is_never_longer_and_the_runtimes_agree(runtimes: list[tuple[Runtime, Runtime]], text: str) -> None:
    results = set()
    for old, new in runtimes:
        ids = new.encode([text])[0]
        assert len(ids) <= len(old.encode([text])[0])
        assert new.decode(ids) == text
        results.add(tuple(ids))
    assert len(results) == 1


@pytest.mark.parametrize("unit", ["日本語のたいへん長い文", "a"])
def test_a_long_text_without_a_space(trio: Trio, runtimes: list[tuple[Runtime, Runtime]], unit: str) -> None:
    text = unit * (300_000 // len(unit.encode("utf-8")) + 1)
    results = set()
    for old, new in runtimes:
        ids = new.encode([text])[0]
        assert len(ids) <= len(old.encode([text])[0])
        assert new.decode(ids) == text
        results.add(tuple(ids))
    assert len(results) == 1


def test_english_documents_keep_their_ids(runtimes: list[tuple[Runtime, Runtime]], english: list[str]) -> None:
    for old, new in runtimes:
        assert new.encode(english) == old.encode(english)


def test_every_criterion_holds(trio: Trio, japanese: list[str], english: list[str]) -> None:
    criteria = verify_tokenizer(trio.base, trio.extended, japanese=japanese[:80], unchanged=english)
    assert [c for c in criteria if not c.holds] == []
    assert {c.label: c.failures for c in criteria if c.failures and c.name != "llama_cpp_check_string"} == {}
    names = {c.name for c in criteria}
    every = {"base_ids_changed", "unreachable_new_tokens", "dead_base_tokens", "changed_lines", "longer_inputs", "round_trip_failures"}
    assert names - {"runtimes_disagree"} == every | {"llama_cpp_check_string"}
    natives = {runtime.name for runtime in runtimes_of(trio.extended)} - {"tokenizers"}
    assert {c.runtime for c in criteria if c.name == "runtimes_disagree"} == natives
    assert {c.runtime for c in criteria if c.name == "longer_inputs"} == natives | {"tokenizers"}
    assert all(c.checked > 0 for c in criteria)


def test_base_ids_are_unchanged_and_new_ids_follow(trio: Trio) -> None:
    base, extension = trio.base.tokenizer, trio.extension
    assert extension.first_new_id == base.vocab_size
    assert extension.tokenizer.ids.items() >= base.ids.items()
    assert [extension.tokenizer.ids[token] for token in extension.tokens] == list(range(base.vocab_size, extension.vocab_size))
    assert extension.tokenizer.vocab_size == extension.vocab_size == base.vocab_size + len(extension.tokens)
    rules = set(base.merges)
    assert [rule for rule in extension.tokenizer.merges if rule in rules] == base.merges
    assert extension.tokenizer.spec["added_tokens"] == base.spec["added_tokens"]
    assert extension.tokenizer.family == base.family, "an extension can be extended again in the same way"
    for key in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        assert extension.tokenizer.spec[key] == base.spec[key]


@pytest.mark.parametrize("name", ["small", "sp", "tik"])
def test_an_extension_can_be_extended_again(request: pytest.FixtureRequest, name: str, japanese: list[str]) -> None:
    trio: Trio = request.getfixturevalue(f"{name}_trio")
    again = extend_loaded(trio.extended, japanese[60:120], 100)
    assert again.extension.first_new_id == trio.extension.vocab_size
    assert set(again.extension.tokens).isdisjoint(trio.extension.tokens)
    assert [c for c in verify_tokenizer(trio.extended, again.extended, japanese=japanese[60:80]) if not c.holds] == []
    assert [c for c in verify_tokenizer(trio.base, again.extended, japanese=japanese[60:80]) if not c.holds] == []


def test_the_base_is_left_alone(trio: Trio, japanese: list[str]) -> None:
    before = json.dumps(trio.base.tokenizer.spec)
    extend_tokenizer(trio.base.tokenizer, japanese[:5], 20)
    assert json.dumps(trio.base.tokenizer.spec) == before


def test_new_tokens_are_japanese_and_as_many_as_asked(trio: Trio) -> None:
    asked = len(trio.extension.tokens) - len(trio.base.tokenizer.missing_bytes)
    assert asked in (900, 1200)
    learned = trio.extension.tokens[len(trio.base.tokenizer.missing_bytes) :]
    assert all(is_admissible(token, 12) for token in learned)
    whole = [text for token in learned if "\ufffd" not in (text := token.decode("utf-8", errors="replace"))]
    assert len(whole) > 700
    assert all(is_japanese(text.removeprefix(" ")) for text in whole)
    assert sum(len(text) > 1 for text in whole) > 100


def test_sources_spell_the_new_tokens_with_base_ids(trio: Trio) -> None:
    base, extension = trio.base.tokenizer, trio.extension
    for token, sources in zip(extension.tokens, extension.sources, strict=True):
        if len(token) == 1:  # a byte that the base lacks has nothing to be spelled with
            assert sources == []
        else:
            assert b"".join(base.token_bytes[source] for source in sources) == token
            assert len(sources) >= 2
            assert max(sources) < extension.first_new_id


def test_counts_are_those_of_the_encoded_corpus(trio: Trio) -> None:
    """On lines that are all different, the counts are what `encode` finds."""
    base = trio.base.tokenizer
    texts = [f"猫が{number}匹、庭で鳴いている。犬は{number}匹で走る。" for number in range(40)]
    extension = extend_tokenizer(base, texts, 24, cover=False)
    results = [token_id for text in texts for token_id in extension.tokenizer.encode(text)]
    assert extension.counts == [results.count(token_id) for token_id in range(base.vocab_size, extension.vocab_size)]
    assert sum(extension.counts) > 100


def test_a_repeated_line_counts_once(small: BpeTokenizer) -> None:
    texts = [f"第{number}章 猫が鳴く" for number in range(10)]
    once, often = (extend_tokenizer(small, corpus, 15, cover=False) for corpus in (texts, [*texts, *texts, "\n".join(texts)]))
    assert (once.tokens, once.counts) == (often.tokens, often.counts)


def test_japanese_takes_fewer_tokens(trio: Trio, japanese: list[str]) -> None:
    unseen = japanese[-20:]
    before, after = (sum(map(len, tokenizer.encode_batch(unseen))) for tokenizer in (trio.base.tokenizer, trio.extended.tokenizer))
    assert after < 0.75 * before


def test_extension_repeats_exactly(trio: Trio, japanese: list[str]) -> None:
    first, second = (extend_tokenizer(trio.base.tokenizer, japanese[:10], 80) for _ in range(2))
    assert json.dumps(first.tokenizer.spec) == json.dumps(second.tokenizer.spec)
    assert (first.tokens, first.sources, first.counts) == (second.tokens, second.sources, second.counts)


def test_missing_bytes_of_smollm2_are_mended(smollm2: BpeTokenizer, smollm2_extension: Extension) -> None:
    assert smollm2_extension.tokens[:8] == [bytes([byte]) for byte in smollm2.missing_bytes]
    assert smollm2_extension.counts[:8] == [0] * 8
    text = "".join(map(chr, range(0x20))) + "\U00040000\U00080000\U0010ffff"
    assert smollm2.decode(smollm2.encode(text)) != text
    assert smollm2_extension.tokenizer.decode(smollm2_extension.tokenizer.encode(text)) == text


def test_emoji_in_a_japanese_corpus_leave_emoji_alone(trio: Trio, japanese: list[str]) -> None:
    texts = [f"{text} 😀👍🎉😀👍🎉 ㄱㄴㄷ ☀\ufe0f" for text in japanese[:5]]
    new = extend_loaded(trio.base, texts, 80)
    plain = ["nice 😀 party 🎉 👍", "ㄱㄴㄷ", "☀\ufe0f ✌\ufe0f", "\ufffd", "한국어"]
    assert new.extended.tokenizer.encode_batch(plain) == trio.base.tokenizer.encode_batch(plain)
    assert [c for c in verify_tokenizer(trio.base, new.extended, japanese=texts, unchanged=plain) if not c.holds] == []


def test_a_leading_space_belongs_to_the_word(sp: LoadedTokenizer, small: BpeTokenizer) -> None:
    """「`foo` を」 is how technical Japanese is set: the space and the particle are one token then."""
    texts = [f"`f{number}` を呼ぶ。`g{number}` を使う。" for number in range(30)]
    for base in (small, sp.tokenizer):
        extension = extend_tokenizer(base, texts, 12, cover=False)
        assert " を".encode() in extension.tokens
        before, after = (tokenizer.encode("`x` を") for tokenizer in (base, extension.tokenizer))
        assert after[: len(before) - 4] == before[: len(before) - 4]
        assert after[-1] >= base.vocab_size
        assert extension.tokenizer.token_bytes[after[-1]].startswith(b" ")


@pytest.mark.parametrize("texts", [[], [""], ["", ""]])
def test_empty_corpus_is_an_input_error(small: BpeTokenizer, texts: list[str]) -> None:
    with pytest.raises(InputError, match="the corpus is empty; give text to learn tokens from"):
        extend_tokenizer(small, texts, 10)


def test_corpus_without_japanese_is_an_input_error(trio: Trio, english: list[str]) -> None:
    with pytest.raises(InputError, match=r"the corpus \([\d,]+ characters\) holds no Japanese character; give Japanese text"):
        extend_tokenizer(trio.base.tokenizer, english, 10)


@pytest.mark.parametrize("longest", [1, 2, 4])
def test_max_token_chars_is_kept(trio: Trio, japanese: list[str], longest: int) -> None:
    extension = extend_tokenizer(trio.base.tokenizer, japanese[:10], 60, max_token_chars=longest, cover=False)
    learned = extension.tokens[len(trio.base.tokenizer.missing_bytes) :]
    assert max(len(token.decode("utf-8", errors="ignore").removeprefix(" ")) for token in learned) <= longest


def test_no_token_crosses_a_word_where_words_are_the_boundaries(sp: LoadedTokenizer, japanese: list[str]) -> None:
    free, bound = (extend_tokenizer(sp.tokenizer, japanese[:60], 900, boundaries=boundaries, cover=False) for boundaries in ("none", "word"))  # type: ignore[arg-type]
    corpus = Corpus()
    corpus.add("x", japanese[:60])
    inside = "\n".join({word for run in corpus.runs[0] for word in unidic_words(run)})
    crossing = [[text for token in extension.tokens if (text := token.decode()) not in inside] for extension in (free, bound)]
    assert len(crossing[0]) > 20
    assert crossing[1] == []


@pytest.mark.parametrize("boundaries", ["none", "phrase", "word"])
@pytest.mark.parametrize("name", ["sp", "tik"])
def test_every_boundary_holds_the_criteria(request: pytest.FixtureRequest, name: str, japanese: list[str], boundaries: Any) -> None:
    base: LoadedTokenizer = request.getfixturevalue(name)
    new = extend_loaded(base, japanese[:20], 100, boundaries=boundaries)
    assert [c for c in verify_tokenizer(base, new.extended, japanese=japanese[:30]) if not c.holds] == []


def test_a_corpus_of_several_sources_with_weights(sp: LoadedTokenizer, japanese: list[str]) -> None:
    corpus = Corpus()
    corpus.add("first", japanese[:20])
    corpus.add("second", japanese[20:40], 0.5)
    extension = extend_tokenizer(sp.tokenizer, corpus, 400)
    assert len(extension.tokens) == 400
    assert extension.tokens != extend_tokenizer(sp.tokenizer, japanese[:40], 400).tokens


def test_merges_written_as_text_stay_text(small: BpeTokenizer) -> None:
    merges = [" ".join(pair) for pair in small.spec["model"]["merges"]]
    old_style = BpeTokenizer({**small.spec, "model": {**small.spec["model"], "merges": merges}})
    assert old_style.family == small.family
    tokens = [b"\xe6\x97", "日".encode()]
    extended = append_tokens(old_style, [], tokens)
    assert all(isinstance(merge, str) for merge in extended.spec["model"]["merges"])
    assert extended.encode("日") == append_tokens(small, [], tokens).encode("日") == [old_style.vocab_size + 1]


def test_special_tokens_outside_the_vocabulary_keep_their_ids(tik_trio: Trio) -> None:
    """Llama-3 names its special tokens in `added_tokens` alone, after the vocabulary: the runtime numbers them anew when the vocabulary grows."""
    added = tik_trio.base.tokenizer.spec["added_tokens"]
    assert tik_trio.extension.first_new_id == tik_trio.base.tokenizer.vocab_size == 854
    assert [tik_trio.extended.tokenizer.runtime.token_to_id(token["content"]) for token in added] == list(range(598, 854))
    text = "a<|special_7|>b"
    assert tik_trio.extended.tokenizer.encode(text) == tik_trio.base.tokenizer.encode(text)


def test_frequent_full_width_yen_leaves_the_replacement_character_alone(small: BpeTokenizer) -> None:
    texts = [f"{number} ￥￥￥ 値段は￥です。" for number in range(30)] + [f"{number} 今日は雨です。" for number in range(30)]
    extended = extend_tokenizer(small, texts, 12, cover=False).tokenizer
    assert extended.encode("broken \ufffd text") == small.encode("broken \ufffd text")


def test_new_ids_reach_past_holes_in_the_base(small: BpeTokenizer, japanese: list[str]) -> None:
    """A vocabulary whose ids leave out some numbers: the new ones follow the highest."""
    spec = json.loads(json.dumps(small.spec))
    last = max(spec["model"]["vocab"], key=spec["model"]["vocab"].__getitem__)
    spec["model"]["vocab"][last] += 40
    base = BpeTokenizer(spec)
    assert base.vocab_size == 640
    extension = extend_tokenizer(base, japanese[:10], 40)
    assert extension.first_new_id == 640
    assert [extension.tokenizer.encode(token.decode())[0] for token in extension.tokens if len(token) == 3][:1] >= [640]


# The real ones.


def _texts(shared_data: Path, chars: int) -> list[str]:
    texts: list[str] = []
    with gzip.open(shared_data / "corpora" / "ja" / "debian_reference.jsonl.gz", "rt", encoding="utf-8") as file:
        for line in file:
            texts.append(json.loads(line)["text"][:20_000])
            if sum(map(len, texts)) > chars:
                break
    return texts


@pytest.mark.parametrize(("name", "first", "family"), [("llama2/tokenizer.model", 32_000, "SentencePiece BPE"), ("llama3", 128_256, "tiktoken BPE")])
def test_real_tokenizers_are_extended(request: pytest.FixtureRequest, shared_data: Path, english: list[str], name: str, first: int, family: str) -> None:
    base = load_tokenizer(shared_data / "tokenizers" / name) if name != "llama3" else request.getfixturevalue("llama3")
    assert base.tokenizer.family == family
    texts = _texts(shared_data, 20_000)
    trio = extend_loaded(base, texts, 300)
    assert trio.extension.first_new_id == first
    assert len(trio.extension.tokens) == 300
    criteria = verify_tokenizer(base, trio.extended, japanese=texts, unchanged=english)
    assert [c for c in criteria if not c.holds] == []
    special = {token["content"]: token["id"] for token in base.tokenizer.spec["added_tokens"]}
    assert {text: trio.extended.tokenizer.runtime.token_to_id(text) for text in special} == special
    before, after = (sum(map(len, tokenizer.encode_batch(texts))) for tokenizer in (base.tokenizer, trio.extended.tokenizer))
    assert after < before
