"""Tables of a terminal: aligned with Japanese in them, never cut off a terminal, and without anything that a terminal would obey."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from pathlib import Path

import pytest

import jp_adapt
from jp_adapt.report.terminal import table


def width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def test_wide_characters_take_two_columns() -> None:
    lines = table(("ベンチマーク", "値"), [("日本語の穴埋め", "0.25"), ("ja/jnli", "12.5")])
    assert len({width(line) for line in lines}) == 1, "the last column stands at the right in every line"
    assert lines == ["ベンチマーク      値", "日本語の穴埋め  0.25", "ja/jnli         12.5"]


def test_a_row_is_one_line_off_a_terminal_however_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    lines = table(("a", "b"), [("x" * 500, "[-0.10, +0.08]"), ("", "")], indent=2)
    assert len(lines) == 3
    assert lines[1] == "  " + "x" * 500 + "  [-0.10, +0.08]", "brackets are no markup"
    assert all(line == line.rstrip() for line in lines)


def test_on_a_terminal_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((60, 20)))
    lines = table(("a", "b"), [("x" * 100, "1.0")])
    assert max(map(len, lines)) <= 60
    assert sum(line.count("x") for line in lines) == 100


def test_what_a_terminal_would_obey_is_made_visible() -> None:
    (line,) = table(("", ""), [("a\x1b[31mb\nc\u202ed", "1")])
    assert line == "a\u241b[31mb c[U+202E]d  1"


def test_no_command_aligns_a_table_by_itself() -> None:
    """An f-string that pads by a width counts a Japanese character as one column."""
    package = Path(jp_adapt.__file__).parent
    padded = re.compile(r":[<>]\{?\w+[^}\s]*\}")
    assert padded.search('f"  {name:<28} {title}"')
    assert padded.search('f"{name:<{width}}  coefficient"')
    modules = [path for room in ("cli", "commands", "pipeline", "report") for path in (package / room).rglob("*.py")]
    assert len(modules) > 50
    assert [path.name for path in modules if padded.search(path.read_text(encoding="utf-8"))] == []
