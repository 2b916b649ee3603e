"""Text of anybody's as a page or a terminal may show it: nothing hides, and nothing is markup."""

from __future__ import annotations

import math

from jp_adapt.core.visible import escape


def test_nothing_and_no_number_are_no_text() -> None:
    assert [escape(value) for value in (None, math.nan, math.inf, 0, 1.5, "None")] == ["", "", "", "0", "1.5", "None"]


def test_escape_makes_the_invisible_visible() -> None:
    assert escape('<a href="x">\'&') == "&lt;a href=&quot;x&quot;&gt;&#x27;&amp;"
    assert escape("a\r\nb\tc\rd") == "a\nb\tc\u240dd"
    assert escape("\x00\x1b\x7f\x85\u202e") == "\u2400\u241b\u2421[U+0085][U+202E]"
    assert escape("\ud800\ufffe\U0001ffff\ufdd0") == "\ufffd" * 4
    assert escape("日本語 ぁ😀e\u0301") == "日本語 ぁ😀e\u0301"
