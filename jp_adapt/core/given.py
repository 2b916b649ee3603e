"""What a call from Python gives, as the command line would have read it: one text for a list, and numbers within their bounds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from jp_adapt.core.errors import UsageError


def several(given: str | Path | Iterable[str | Path]) -> list[str]:
    """The entries of a list of texts or paths; a single one is a list of one, and never of its letters."""
    return [str(given)] if isinstance(given, (str, Path)) else [str(entry) for entry in given]


def at_least(name: str, number: float | None, least: float) -> None:
    """UsageError for a `number` below `least`, or one that is none (NaN); None is not judged."""
    if number is not None and not number >= least:
        raise UsageError(f"{name} is {number}: a number of at least {least} is needed")


def above_zero(name: str, number: float | None) -> None:
    """UsageError for a `number` that is not above 0; None is not judged."""
    if number is not None and not number > 0:
        raise UsageError(f"{name} is {number}: a number above 0 is needed")
