"""What a tokenizer.json says: its family, its tokens as bytes, its ids; and which file is refused."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from jp_adapt.core.errors import InputError
from jp_adapt.tokenizer import bpe
from jp_adapt.tokenizer.bpe import NEVER_IN_UTF8, BpeTokenizer, check_spec, family_of
from jp_adapt.tokenizer.load import LoadedTokenizer
from tests.properties import examples
from tests.tokenizer.conftest import Trio


def _spec(model: Any, pre_tokenizer: Any = None) -> dict[str, Any]:
    tokenizer = Tokenizer(model)
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    return json.loads(tokenizer.to_str())


FAMILIES: dict[str, Callable[[], dict[str, Any]]] = {
    "Unigram": lambda: _spec(models.Unigram([("a", -1.0), ("b", -2.0)])),
    "WordPiece": lambda: _spec(models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]")),
    "WordLevel": lambda: _spec(models.WordLevel({"[UNK]": 0, "a": 1}, unk_token="[UNK]")),
    "SentencePiece BPE": lambda: _spec(models.BPE({"<unk>": 0, "<0x41>": 1, "▁": 2}, [], byte_fallback=True, unk_token="<unk>")),
    "BPE without bytes": lambda: _spec(models.BPE({"a": 0, "b": 1}, []), pre_tokenizers.Whitespace()),
    "byte-level BPE": lambda: _spec(models.BPE({"a": 0, "b": 1}, []), pre_tokenizers.ByteLevel()),
    "unknown": lambda: {},
}


@pytest.mark.parametrize("family", FAMILIES)
def test_family_is_named(family: str) -> None:
    assert family_of(FAMILIES[family]()) == family


def test_byte_level_inside_a_sequence_is_found() -> None:
    sequence = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel()])
    assert family_of(_spec(models.BPE({"a": 0}, []), sequence)) == "byte-level BPE"


@pytest.mark.parametrize("family", ["Unigram", "WordPiece", "WordLevel", "BPE without bytes"])
def test_another_family_is_refused_and_named(family: str) -> None:
    with pytest.raises(InputError, match=f"^the/file: a {family} tokenizer; only BPE tokenizers with bytes"):
        check_spec(FAMILIES[family](), "the/file")


def test_the_three_families_are_told_apart(small: BpeTokenizer, smollm2: BpeTokenizer, sp: LoadedTokenizer, tik: LoadedTokenizer) -> None:
    assert [t.family for t in (small, smollm2, sp.tokenizer, tik.tokenizer)] == ["byte-level BPE", "byte-level BPE", "SentencePiece BPE", "tiktoken BPE"]


def test_every_test_tokenizer_passes_the_check(trio: Trio) -> None:
    check_spec(trio.base.tokenizer.spec, "base")
    check_spec(trio.extended.tokenizer.spec, "extended")


def _second_id(spec: Any) -> None:
    vocab = spec["model"]["vocab"]
    vocab["zz"] = next(iter(vocab.values()))


SPOILT: dict[str, tuple[Callable[[Any], Any], str]] = {
    "no model": (lambda s: s.pop("model"), "holds no tokenizer"),
    "model is a list": (lambda s: s.update(model=[]), "holds no tokenizer"),
    "vocabulary is a list": (lambda s: s["model"].update(vocab=[]), "lacks a vocabulary"),
    "vocabulary is empty": (lambda s: s["model"].update(vocab={}), "lacks a vocabulary"),
    "an id is text": (lambda s: s["model"]["vocab"].update(zz="7"), "lacks a vocabulary"),
    "an id is a fraction": (lambda s: s["model"]["vocab"].update(zz=7.5), "lacks a vocabulary"),
    "an id is true": (lambda s: s["model"]["vocab"].update(zz=True), "lacks a vocabulary"),
    "merges are missing": (lambda s: s["model"].pop("merges"), r"lacks a vocabulary of ids \(0 to 4,194,304\) or a list of merges"),
    "added tokens are missing": (lambda s: s.pop("added_tokens"), "'added_tokens' is not a list"),
    "an added token is text": (lambda s: s["added_tokens"].append("<s>"), "'added_tokens' is not a list"),
    "an added token without id": (lambda s: s["added_tokens"].append({"content": "<x>"}), "'added_tokens' is not a list"),
    "two tokens with one id": (_second_id, "have the same id"),
    "a merge of unknown tokens": (lambda s: s["model"]["merges"].append(["qqqq", "zzzz"]), "is not a pair of tokens"),
    "a merge of three": (lambda s: s["model"]["merges"].append(["t", "h", "e"]), "is not a pair of tokens"),
    "a merge that makes no token": (lambda s: s["model"]["merges"].append(["z", "q"]), "is not a pair of tokens"),
}


@pytest.mark.parametrize("fault", SPOILT)
def test_a_spoilt_file_is_refused(small: BpeTokenizer, fault: str) -> None:
    spec = copy.deepcopy(small.spec)
    spoil, message = SPOILT[fault]
    spoil(spec)
    with pytest.raises(InputError, match=f"^place: .*{message}"):
        check_spec(spec, "place")


def test_a_character_that_is_no_byte_is_refused(small: BpeTokenizer) -> None:
    spec = copy.deepcopy(small.spec)
    spec["model"]["vocab"]["日本"] = 600
    with pytest.raises(InputError, match="'日本' of the vocabulary holds a character that stands for no byte"):
        check_spec(spec, "place")


def test_bytes_that_never_stand_in_utf8_are_not_missed(small: BpeTokenizer, sp: LoadedTokenizer) -> None:
    every_char = {byte for code in [*range(0xD800), *range(0xE000, 0x110000, 61), 0x10FFFF] for byte in chr(code).encode("utf-8")}
    assert NEVER_IN_UTF8.isdisjoint(every_char)
    assert every_char | NEVER_IN_UTF8 == set(range(256))
    assert small.missing_bytes == sp.tokenizer.missing_bytes == ()


def test_smollm2_lacks_eight_bytes(smollm2: BpeTokenizer) -> None:
    assert [f"{byte:02X}" for byte in smollm2.missing_bytes] == ["04", "06", "13", "14", "16", "1D", "F1", "F2"]
    assert smollm2.vocab_size == 49152
    assert smollm2.runtime.decode(smollm2.encode("a\x04b")) == "ab", "the base drops the byte without a word"


def test_special_tokens_are_no_byte_strings(small: BpeTokenizer, tik: LoadedTokenizer, sp: LoadedTokenizer) -> None:
    assert b"<|endoftext|>" not in small.ids
    assert small.special_texts == {"<|endoftext|>", "<|im_start|>"}
    assert small.vocab_size == 600
    assert len(tik.tokenizer.special_texts) == 256
    assert tik.tokenizer.vocab_size == 598 + 256
    assert sp.tokenizer.special_texts == {"<unk>", "<s>", "</s>"}


def test_token_bytes_is_the_inverse_of_ids(trio: Trio) -> None:
    for tokenizer in (trio.base.tokenizer, trio.extended.tokenizer):
        assert all(tokenizer.token_bytes[token_id] == token for token, token_id in tokenizer.ids.items())
        assert tokenizer.token_bytes.keys() == set(range(tokenizer.vocab_size))


def test_a_byte_with_a_piece_of_its_own_keeps_the_piece(sp: LoadedTokenizer) -> None:
    """A SentencePiece model holds "a" and <0x61>: only the first is what text meets."""
    tokenizer = sp.tokenizer
    vocab = tokenizer.spec["model"]["vocab"]
    assert tokenizer.ids[b"e"] == vocab["e"] != vocab["<0x65>"]
    assert tokenizer.ids[b"\xe3"] == vocab["<0xE3>"]
    assert tokenizer.to_bytes("▁the") == b" the"


def test_spell_and_split_agree_with_the_whole_runtime(small: BpeTokenizer, english: list[str]) -> None:
    for word in english[0].split()[:50]:
        ids = small.spell(word.encode("utf-8"))
        assert ids == small.encode(word) == small.split([word])[0]
        assert b"".join(small.token_bytes[token_id] for token_id in ids) == word.encode("utf-8")


def test_words_hold_every_byte(trio: Trio, japanese: list[str], english: list[str]) -> None:
    tokenizer = trio.base.tokenizer
    for text in [*japanese[:5], *english[:5]]:
        assert b"".join(tokenizer.to_bytes(word) for word in tokenizer.words(text)) == text.encode("utf-8")


def test_no_token_crosses_a_word(trio: Trio, japanese: list[str]) -> None:
    tokenizer = trio.extended.tokenizer
    for text in japanese[60:64]:
        if not tokenizer.is_sentencepiece:  # there a dummy space comes first
            assert [token_id for ids in tokenizer.split(tokenizer.words(text)) for token_id in ids] == tokenizer.encode(text)


def test_a_batch_of_more_than_a_block_is_cut_like_its_texts(small: BpeTokenizer, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"text {number}" * (number % 3) for number in range(20)]
    expected = [small.encode(text) for text in texts]
    for block in (1, 7, 20, 4096):
        monkeypatch.setattr(bpe, "BLOCK", block)
        assert small.encode_batch(iter(texts)) == expected
    assert small.encode_batch([]) == []


@examples(60)
@given(st.text(max_size=30))
def test_decode_is_the_inverse_of_encode_where_all_bytes_are_there(small: BpeTokenizer, text: str) -> None:
    assert small.decode(small.encode(text)) == text
