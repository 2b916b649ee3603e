"""Readings of kanji (ruby, furigana) in HTML, Wikipedia templates and Aozora Bunko marks: removed, or put in （ ） after their word."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

from jp_adapt.text.morphology import reading_of
from jp_adapt.text.spans import closed, cut

Readings = Literal["drop", "parentheses"]
_OPEN, _CLOSE = re.compile(r"<(ruby)(?:\s[^<>]*)?>", re.IGNORECASE), re.compile(r"</(ruby)\s*>", re.IGNORECASE)
# HTML lets </rt>, </rp> and </rb> be left out: each ends where the next begins.
_PART = re.compile(r"<(/?)(ruby|rb|rtc|rt|rp)(?:\s[^<>]*)?>", re.IGNORECASE)
_TEMPLATE = re.compile(r"\{\{(?:ruby|ルビ|ふりがな|読み仮名(?:_ruby不使用)?)\|([^|{}\n]{1,100})\|([^|{}\n]{1,100})(?:\|[^{}]{0,100})?\}\}", re.IGNORECASE)
# Aozora Bunko: ｜ begins the word, where it is not the run of kanji before 《. Kakuyomu and others write it so, too, and 《《...》》 for emphasis.
_MARKED = re.compile(r"[｜|]([^｜|《》\s]{1,60})《([^《》\n]{1,60})》")
_KANJI = re.compile(r"([\u4e00-\u9fff々〆〇ヶ]{1,20})《([ぁ-ゖァ-ヺーゝゞ・]{1,40})》")
_EMPHASIS = re.compile(r"《《([^《》\n]{1,100})》》")
_NOTE = re.compile(r"※?［＃[^［］\n]{1,200}］")
_CODE_POINT = re.compile(r"U\+([0-9A-Fa-f]{4,5})")
MIN_KANJI_MARKS = 3  # 小説《こころ》 is a title in brackets; three such marks are readings
_TO_KATAKANA = {code: code + 0x60 for code in range(ord("ぁ"), ord("ゖ") + 1)}


def strip_readings(text: str, readings: Readings = "drop") -> tuple[str, int]:
    """The text without marks of readings, and how many there were, in time proportional to the text."""
    number = 0
    if "<" in text:
        spans = [(start, end, made) for start, end in closed(text, _OPEN, _CLOSE) if (made := _ruby(text[start:end], readings)) is not None]
        text, number = cut(text, spans), len(spans)
    write = _writer(readings)
    for pattern in (_TEMPLATE, *_aozora(text)):
        text, count = pattern.subn(write, text)
        number += count
    if number and "《《" in text:
        text, count = _EMPHASIS.subn(r"\1", text)
        number += count
    if "［＃" in text:
        text, count = _NOTE.subn(_character, text)
        number += count
    return text, number


def _writer(readings: Readings) -> Callable[[re.Match[str]], str]:
    return lambda match: match[1] + (f"（{match[2]}）" if readings == "parentheses" else "")


def _ruby(element: str, readings: Readings) -> str | None:
    """The text that remains of `<ruby>...</ruby>`; None if nothing in it is a reading."""
    parts: list[str] = []
    inside, done, results = "rb", 0, False
    for match in _PART.finditer(element):
        text, name = element[done : match.start()], match[2].lower()
        if inside == "rb":
            parts.append(text)
        elif inside == "rt" and readings == "parentheses" and text.strip():
            parts.append(f"（{text.strip()}）")
        results = results or (name == "rt" and not match[1])
        inside, done = ("rb" if match[1] else name), match.end()
        inside = "rb" if inside == "ruby" else inside
    return "".join(parts) if results else None


def _aozora(text: str) -> list[re.Pattern[str]]:
    """The marks of Aozora Bunko that the text is shown to have: 《》 are brackets of titles, too."""
    if "《" not in text:
        return []
    if _MARKED.search(text) or "［＃" in text:
        return [_MARKED, _KANJI]
    marks = [match.groups() for _, match in zip(range(MIN_KANJI_MARKS), _KANJI.finditer(text), strict=False)]
    if len(marks) >= MIN_KANJI_MARKS or any(reading_of(word) == reading.translate(_TO_KATAKANA) for word, reading in marks):
        return [_KANJI]
    return []


def _character(note: re.Match[str]) -> str:
    """Notes of the typist say nothing in the text, but for ※, which stands for a character that the old encoding lacked."""
    if not note[0].startswith("※"):
        return ""
    point = _CODE_POINT.search(note[0])
    return chr(int(point[1], 16)) if point and not 0xD800 <= int(point[1], 16) <= 0xDFFF else "※"
