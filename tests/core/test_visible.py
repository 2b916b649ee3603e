"""Texts of anybody's as a page may show them."""

from __future__ import annotations

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
