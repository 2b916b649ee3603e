"""Types of command line arguments that several verbs take."""

from __future__ import annotations

import argparse

LARGEST = 2**31 - 1


def names(text: str) -> tuple[str, ...]:
    """Names with commas between them."""
    found = tuple(name.strip() for name in text.split(",") if name.strip())
    if not found:
        raise argparse.ArgumentTypeError("nothing is named")
    return found


def positive(text: str) -> int:
    """A whole number from 1 to `LARGEST`."""
    number = int(text) if text.isdecimal() and len(text) <= 20 else 0
    if not 1 <= number <= LARGEST:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number of at least 1 and at most {LARGEST:,}")
    return number
