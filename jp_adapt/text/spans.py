"""Spans of a text from an opening mark to the closing one. Closing marks are looked up, not searched for, so time is proportional to the text."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable


def closed(text: str, opener: re.Pattern[str], closer: re.Pattern[str]) -> list[tuple[int, int]]:
    """From each opening tag to the next closing tag of the same name (group 1); a tag that is never closed makes no span."""
    ends: dict[str, list[int]] = {}
    for match in closer.finditer(text):
        ends.setdefault(match[1].lower(), []).append(match.end())
    spans: list[tuple[int, int]] = []
    for match in opener.finditer(text):
        of_name = ends.get(match[1].lower(), [])
        place = bisect_right(of_name, match.end())
        if place < len(of_name) and (not spans or match.start() >= spans[-1][1]):
            spans.append((match.start(), of_name[place]))
    return spans


def cut(text: str, spans: Iterable[tuple[int, int, str]]) -> str:
    """The text with each span replaced."""
    parts, done = [], 0
    for start, end, instead in spans:
        parts += [text[done:start], instead]
        done = end
    return "".join([*parts, text[done:]])
