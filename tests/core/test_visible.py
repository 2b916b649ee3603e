"""Texts of anybody's as a page may show them."""

from __future__ import annotations

import math

import pytest

from jp_adapt.core.visible import escape, visible


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (None, ""),
        (float("nan"), ""),
        (3, "3"),
        ("日本\tA\nB", "日本\tA\nB"),
        ("a\r\nb", "a\nb"),
        ("\0\x1b\x7f", "␀␛␡"),
        ("a\u202eb\u2066\x85", "a[U+202E]b[U+2066][U+0085]"),
        ("\ud83d \ufffe \ufdd0", "\ufffd \ufffd \ufffd"),
    ],
)
def test_what_hides_or_reorders_becomes_visible(given: object, shown: str) -> None:
    assert visible(given) == shown


def test_nothing_is_markup() -> None:
    assert escape('<a href="x">\'&\u202e') == "&lt;a href=&quot;x&quot;&gt;&#x27;&amp;[U+202E]"


def test_nothing_and_no_number_are_no_text() -> None:
    assert [escape(value) for value in (None, math.nan, math.inf, 0, 1.5, "None")] == ["", "", "", "0", "1.5", "None"]


def test_escape_makes_the_invisible_visible() -> None:
    assert escape('<a href="x">\'&') == "&lt;a href=&quot;x&quot;&gt;&#x27;&amp;"
    assert escape("a\r\nb\tc\rd") == "a\nb\tc\u240dd"
    assert escape("\x00\x1b\x7f\x85\u202e") == "\u2400\u241b\u2421[U+0085][U+202E]"
    assert escape("\ud800\ufffe\U0001ffff\ufdd0") == "\ufffd" * 4
    assert escape("日本語 ぁ😀e\u0301") == "日本語 ぁ😀e\u0301"
