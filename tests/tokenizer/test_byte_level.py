"""The byte table, and what a tokenizer.json says about its family."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from jp_adapt.core.errors import InputError
from jp_adapt.tokenizer.byte_level import BYTE_TO_CHAR, CHAR_TO_BYTE, NEVER_IN_UTF8, BpeTokenizer, family_of, to_bytes, to_text
from tests.properties import examples


def test_byte_table_is_the_alphabet_of_the_runtime() -> None:
    assert sorted(BYTE_TO_CHAR) == list(range(256))
    assert sorted(BYTE_TO_CHAR.values()) == sorted(pre_tokenizers.ByteLevel.alphabet())
    assert len(CHAR_TO_BYTE) == 256
    assert BYTE_TO_CHAR[0x20] == "Ġ"
    assert BYTE_TO_CHAR[0x0A] == "Ċ"


@examples(200)
@given(st.binary())
def test_byte_table_round_trip(data: bytes) -> None:
    printable = to_text(data)
    assert to_bytes(printable) == data
    assert len(printable) == len(data)
    assert printable.isprintable()


def test_a_character_that_is_no_byte_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        to_bytes("あ")


@examples(60)
@given(st.text(min_size=1, max_size=20))
def test_printable_form_is_the_runtimes(text: str) -> None:
    whole = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text)
    assert "".join(piece for piece, _ in whole) == to_text(text.encode("utf-8"))


def test_bytes_that_never_stand_in_utf8_are_not_missed(small: BpeTokenizer) -> None:
    every_char = {byte for code in [*range(0xD800), *range(0xE000, 0x110000, 61), 0x10FFFF] for byte in chr(code).encode("utf-8")}
    assert NEVER_IN_UTF8.isdisjoint(every_char)
    assert every_char | NEVER_IN_UTF8 == set(range(256))
    assert small.missing_bytes == ()


def test_smollm2_lacks_eight_bytes(smollm2: BpeTokenizer) -> None:
    assert [f"{byte:02X}" for byte in smollm2.missing_bytes] == ["04", "06", "13", "14", "16", "1D", "F1", "F2"]
    assert smollm2.vocab_size == 49152
    assert smollm2.runtime.decode(smollm2.encode("a\x04b")) == "ab", "the base drops the byte without a word"


def _spec(model: Any, pre_tokenizer: Any = None) -> dict[str, Any]:
    tokenizer = Tokenizer(model)
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    return json.loads(tokenizer.to_str())


FAMILIES = {
    "Unigram": lambda: _spec(models.Unigram([("a", -1.0), ("b", -2.0)])),
    "WordPiece": lambda: _spec(models.WordPiece({"[UNK]": 0, "a": 1}, unk_token="[UNK]")),
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


@pytest.mark.parametrize("family", ["Unigram", "WordPiece", "SentencePiece BPE"])
def test_loading_another_family_names_it(family: str, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps(FAMILIES[family]()), encoding="utf-8")
    with pytest.raises(InputError, match=f"a {family} tokenizer, and only byte-level BPE"):
        BpeTokenizer.load(tmp_path)


def test_real_llama2_tokenizer_is_sentencepiece(shared_data: Path) -> None:
    with pytest.raises(InputError, match="a SentencePiece BPE tokenizer"):
        BpeTokenizer.load(shared_data / "tokenizers" / "llama2")


def test_loading_without_a_tokenizer_json(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no tokenizer\.json here"):
        BpeTokenizer.load(tmp_path)


@pytest.mark.parametrize("data", [b'{"model": ', b"\xff\xfe{}"])
def test_loading_a_broken_tokenizer_json(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes(data)
    with pytest.raises(InputError, match=r"not a readable tokenizer\.json"):
        BpeTokenizer.load(tmp_path)


def test_loading_gives_the_same_tokenizer(small: BpeTokenizer, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(json.dumps(small.spec), encoding="utf-8")
    loaded = BpeTokenizer.load(tmp_path)
    assert loaded.ids == small.ids
    assert loaded.encode("The same, 日本") == small.encode("The same, 日本")


def test_special_tokens_are_no_byte_strings(small: BpeTokenizer) -> None:
    assert b"<|endoftext|>" not in small.ids
    assert small.special_texts == {"<|endoftext|>", "<|im_start|>"}
    assert small.vocab_size == 600


def test_spell_agrees_with_encode_on_whole_words(small: BpeTokenizer, english: list[str]) -> None:
    for word in english[0].split()[:50]:
        assert small.spell(word.encode("utf-8")) == [small.runtime.token_to_id(token.value) for token in small.runtime.model.tokenize(to_text(word.encode()))]
        assert b"".join(small.split(to_text(word.encode("utf-8")))) == word.encode("utf-8")


def test_pre_tokens_count_every_byte(small: BpeTokenizer, english: list[str]) -> None:
    counts = small.pre_tokens(english)
    assert sum(len(piece) * count for piece, count in counts.items()) == sum(len(text.encode("utf-8")) for text in english)
