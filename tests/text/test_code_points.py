"""Texts as arrays of code points."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.text.code_points import code_points
from tests.properties import examples


@examples(200)
@given(st.text(st.characters(exclude_categories=()), max_size=30))
def test_each_character_is_its_code_point(text: str) -> None:
    assert code_points(text).tolist() == [ord(char) for char in text]


def test_a_lone_surrogate_is_one_too() -> None:
    assert code_points("あ\ud800b").tolist() == [0x3042, 0xD800, 0x62]
