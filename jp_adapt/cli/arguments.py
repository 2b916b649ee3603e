"""Types of command line arguments that several verbs take."""

from __future__ import annotations

import argparse

LARGEST = 2**31 - 1


def positive(text: str) -> int:
    """A whole number from 1 to `LARGEST`."""
    number = int(text) if text.isdecimal() and len(text) <= 20 else 0
    if not 1 <= number <= LARGEST:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number of at least 1 and at most {LARGEST:,}")
    return number
