"""The tables of training text: what each changes, what all of them leave alone, and that twice is once."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.text.tables import CHARACTERS, DEFAULT, ORDER, apply_tables
from tests.properties import examples

# Characters that the tables meet, beside any other: bases, marks, halves, controls, selectors.
TRICKY = "かがはぱうゝカハワﾞﾟｶﾊｳｱ\u3099\u309a゛゜～〜\u3000\u00a0\u2001\u200b\ufeff\r\n\x1b[3m]\x07\x85\ufe00\ufe0f\U000e0100葛\ufa19\u0301\u0323eＡ￥｡･"
TEXTS = st.text(st.one_of(st.sampled_from(TRICKY), st.characters()), max_size=30)


@examples(1500)
@given(TEXTS, st.sets(st.sampled_from(ORDER)))
def test_twice_is_once_whichever_tables_are_named(text: str, names: set[str]) -> None:
    once, _ = apply_tables(text, names)
    twice, changes = apply_tables(once, names)
    assert twice == once
    assert changes == {}


@examples(500)
@given(TEXTS)
def test_a_text_is_changed_exactly_where_a_change_is_counted(text: str) -> None:
    after, changes = apply_tables(text, ORDER)
    assert (after != text) == bool(changes)


@pytest.mark.parametrize(
    ("table", "before", "after", "number"),
    [
        ("control", "a\r\nb\rc\x0cd\x00\ufeffe\u200bf", "a\nb\nc\ndef", 6),
        ("control", "\x1b[1;31m赤\x1b[0m\x1b]0;題\x07", "赤", 3),
        ("variation_selectors", "葛\U000e0100城市、神\ufe00社", "葛城市、神社", 2),
        ("variation_selectors", "❤\ufe0f", "❤\ufe0f", 0),
        ("spaces", "10\u00a0km\u2009先", "10 km 先", 2),
        ("ideographic_space", "\u3000段落", " 段落", 1),
        ("half_width_kana", "ﾌﾟﾛｸﾞﾗﾐﾝｸﾞ｡ｳﾞｧ", "プログラミング。ヴァ", 10),
        ("half_width_kana", "(´･ω･`)", "(´・ω・`)", 2),
        ("dakuten", "か゛き\u3099は゜ウ゛", "がぎぱヴ", 4),
        ("dakuten", "あ゛が゛", "あ゛が゛", 0),
        ("wave_dash", "3～5時", "3〜5時", 1),
        ("full_width_ascii", "ＡＢＣ（１２％）￥", "ABC(12%)¥", 9),
        ("nfc", "か\u3099e\u0301", "がé", 1),
    ],
)
def test_tables(table: str, before: str, after: str, number: int) -> None:
    text, changes = apply_tables(before, [table])
    assert text == after
    assert changes.get(table, 0) == number


def test_half_width_kana_are_what_unicode_says() -> None:
    olds, news, _ = CHARACTERS["half_width_kana"][0]
    for old, new in zip(olds, news, strict=True):
        if old not in "ﾞﾟ":  # NFKC makes combining marks of them, which would join whatever stands before
            assert unicodedata.normalize("NFKC", old) == new


def test_what_nfkc_would_destroy_stays() -> None:
    text = "①②㍿㌔ x² H₂O … ﬁ ㈱ Ⅳ ½ ＡＢＣ１２３（例）　字下げ ~/.bashrc −1 “引用” ∥"
    assert apply_tables(text, DEFAULT) == (text, {})


def test_every_row_has_a_reason() -> None:
    assert all(reason for rows in CHARACTERS.values() for _, _, reason in rows)


def test_an_unknown_table() -> None:
    with pytest.raises(KeyError):
        apply_tables("a", ["nfkc"])
