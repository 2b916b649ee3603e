"""How much of a text is Japanese."""

from __future__ import annotations

from jp_adapt.text.scripts import script_of


def japanese_share(text: str) -> float:
    """Share of the characters of `text`, white space apart, that are Japanese: 0.0 for an empty text."""
    visible = [char for char in text if not char.isspace()]
    return sum(script_of(char) is not None for char in visible) / len(visible) if visible else 0.0
