"""The byte table of byte-level vocabularies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from jp_adapt.tokenizer.byte_level import BYTE_TO_CHAR, CHAR_TO_BYTE, is_byte_text, to_bytes, to_text
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
    assert is_byte_text(printable)


@pytest.mark.parametrize("char", ["あ", "▁", " ", "\n", "\u0144", "\xad"])
def test_a_character_that_is_no_byte_is_a_key_error(char: str) -> None:
    assert not is_byte_text("a" + char)
    with pytest.raises(KeyError):
        to_bytes(char)


@examples(60)
@given(st.text(min_size=1, max_size=20))
def test_printable_form_is_the_runtimes(text: str) -> None:
    whole = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text)
    assert "".join(piece for piece, _ in whole) == to_text(text.encode("utf-8"))
