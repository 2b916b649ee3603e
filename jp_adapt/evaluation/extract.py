"""What of a generated text is the answer: a closed list of steps."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def first_number(text: str) -> str:
    """The first number of a text, or nothing."""
    found = _NUMBER.search(text)
    return found.group() if found else ""


STEPS: dict[str, Callable[[str], str]] = {
    "strip": str.strip,
    "first_line": lambda text: text.lstrip("\n").split("\n", 1)[0],
    "first_paragraph": lambda text: text.split("\n\n", 1)[0],
    "first_number": first_number,
}


def extract(text: str, steps: Iterable[str]) -> str:
    """`text` after the named steps, in order."""
    for step in steps:
        text = STEPS[step](text)
    return text
