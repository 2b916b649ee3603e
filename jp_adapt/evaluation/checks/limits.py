"""Checks for benchmarks of one's own: words that an answer has, or has not, and how long it is. LCTG Bench is scored by them."""

from __future__ import annotations

from collections.abc import Sequence


def contains(text: str, words: Sequence[str]) -> bool:
    """Every one of the words stands in the answer."""
    return all(word in text for word in words)


def lacks(text: str, words: Sequence[str]) -> bool:
    """None of the words stands in the answer."""
    return not any(word in text for word in words)


def has_chars(text: str, least: int, most: int) -> bool:
    """The answer has `least` to `most` characters, both included."""
    return least <= len(text) <= most
