"""Which characters are Japanese."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.text.scripts import BLOCKS, any_japanese_between, is_japanese, script_of
from tests.properties import examples

SCRIPTS = {
    "hiragana": "あんをゔぁっゝゞ",
    "katakana": "アンヲヴァッーヽヾヷㇰㇿｱﾝｯ",
    "kanji": "一日本語々〆〇龠㐀䶿豈𠮷𩸽𰻞",
    "punct": "、。「」『』【】〒〜・゠㈱㍻㌔㊤",
    "kana_mark": "\u3099\u309a゛゜",
    "width": "Ａｚ０（）！？｡｢｣､･￥",
}
NOT_JAPANESE = "aZ09 !~\t\n\u3000éßΩЖ한ㄱㄅ😀№①—…“”‘’\ufe00\ufe0f\ufeff\ufffd\u200b\U0010ffff"

near_japanese = st.one_of(
    st.characters(min_codepoint=0x2FF0, max_codepoint=0x9FFF), st.characters(min_codepoint=0xF8F0, max_codepoint=0x20010), st.characters()
)


@pytest.mark.parametrize(("script", "char"), [(script, char) for script, chars in SCRIPTS.items() for char in chars])
def test_script_of_known_characters(script: str, char: str) -> None:
    assert script_of(char) == script
    assert is_japanese(char)


@pytest.mark.parametrize("char", NOT_JAPANESE)
def test_these_are_not_japanese(char: str) -> None:
    assert script_of(char) is None
    assert not is_japanese(char)


def test_ascii_and_latin_are_never_japanese() -> None:
    assert not any(map(is_japanese, map(chr, range(0x2000))))


def test_blocks_are_in_order_and_do_not_touch() -> None:
    for (first, last, _), (after, _, _) in pairwise(BLOCKS):
        assert first <= last < after
    assert {script for _, _, script in BLOCKS} == SCRIPTS.keys()


def test_every_kana_and_every_kanji_of_unicode_is_japanese() -> None:
    """But for the historic kana of U+1AFF0 to U+1B16F, which stand in no modern text."""
    named = ("HIRAGANA LETTER", "KATAKANA LETTER", "CJK UNIFIED IDEOGRAPH", "CJK COMPATIBILITY IDEOGRAPH", "HALFWIDTH KATAKANA LETTER")
    missed = [
        chr(code) for code in [*range(0x1AF00), *range(0x20000, 0x32000)] if unicodedata.name(chr(code), "").startswith(named) and not is_japanese(chr(code))
    ]
    assert missed == []


def test_no_letter_of_another_script_is_japanese() -> None:
    foreign = ("HANGUL", "LATIN", "BOPOMOFO", "CYRILLIC", "GREEK")
    results = [chr(code) for code in range(0xFF00) if unicodedata.name(chr(code), "").startswith(foreign) and is_japanese(chr(code))]
    assert results == []


@examples(300)
@given(st.text(alphabet=near_japanese, max_size=6))
def test_a_text_is_japanese_when_each_character_is(text: str) -> None:
    assert is_japanese(text) == (text != "" and all(is_japanese(char) for char in text))


@examples(300)
@given(near_japanese)
def test_script_agrees_with_a_plain_search(char: str) -> None:
    assert script_of(char) == next((script for first, last, script in BLOCKS if first <= ord(char) <= last), None)


@examples(200)
@given(st.integers(0, 0x10FFFF), st.integers(0, 300))
def test_any_japanese_between_agrees_with_trying_all(first: int, length: int) -> None:
    last = min(first + length, 0x10FFFF)
    assert any_japanese_between(first, last) == any(script_of(chr(code)) is not None for code in range(first, last + 1))
