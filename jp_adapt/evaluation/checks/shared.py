"""Checks that IFEval and M-IFEval have in common."""

from __future__ import annotations

import json
import re

from jp_adapt.benchmarks.checks import RELATIONS

FEWER = frozenset(relations[0] for relations in RELATIONS.values())


def compare(number: int, limit: int, relation: str) -> bool:
    """Whether `number` stands to `limit` as asked: below it ("less than", 未満), or not below it ("at least", 以上)."""
    return number < limit if relation in FEWER else number >= limit


def has_placeholders(text: str, num_placeholders: int) -> bool:
    """At least so many placeholders in square brackets, such as [address]."""
    return len(re.findall(r"\[.*?\]", text)) >= num_placeholders


def has_divided_paragraphs(text: str, num_paragraphs: int) -> bool:
    """Exactly so many paragraphs between dividers `***`; an empty one in the middle is a fault, at an end it does not count."""
    return _parts(re.split(r"\s?\*\*\*\s?", text)) == num_paragraphs


def has_two_responses(text: str) -> bool:
    """Two different answers, divided by `******`."""
    parts = text.split("******")
    return _parts(parts) == 2 and len({part.strip() for part in parts if part.strip()}) == 2


def _parts(parts: list[str]) -> int:
    """How many parts are not empty; -1 where one in the middle is."""
    if any(not part.strip() for part in parts[1:-1]):
        return -1
    return sum(bool(part.strip()) for part in parts)


def has_postscript(text: str, postscript_marker: str) -> bool:
    """The marker stands somewhere, in any case; of P.S. and P.P.S also with spaces between the letters."""
    marker = postscript_marker.strip()
    pattern = {"P.P.S": r"p\.\s?p\.\s?s", "P.S.": r"p\.\s?s\."}.get(marker, re.escape(marker))
    return re.search(pattern, text, re.IGNORECASE) is not None


def is_json(text: str) -> bool:
    """The answer is one JSON value, in a code block or not."""
    text = text.strip()
    for mark in ("```json", "```Json", "```JSON", "```"):
        text = text.removeprefix(mark)
    try:
        json.loads(text.removesuffix("```").strip())
    except (ValueError, RecursionError):
        return False
    return True


def paragraphs(text: str) -> list[str]:
    """What stands between empty lines, empty parts included."""
    return text.split("\n\n")


def nth_paragraph(text: str, num_paragraphs: int, nth: int) -> str | None:
    """The nth paragraph where there are exactly `num_paragraphs` that are not empty; None otherwise.

    As in the two benchmarks `nth` counts empty ones too, so that more than one empty line between two paragraphs may hide the one that is meant.
    """
    parts = paragraphs(text)
    filled = sum(bool(part.strip()) for part in parts)
    return parts[nth - 1].strip() or None if nth <= filled == num_paragraphs else None
