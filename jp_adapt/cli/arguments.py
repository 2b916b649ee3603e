"""Types of command line arguments that several verbs take."""

from __future__ import annotations

import argparse
from decimal import Decimal, InvalidOperation
from pathlib import Path

LARGEST = 2**31 - 1
MOST_TEXT = 10**15
MOST_PROCESSES = 1_024
HOTTEST = 100


def names(text: str) -> tuple[str, ...]:
    """Names with commas between them."""
    results = tuple(name.strip() for name in text.split(",") if name.strip())
    if not results:
        raise argparse.ArgumentTypeError("nothing is named")
    return results


def names_or_paths(text: str) -> tuple[str, ...]:
    """Names or paths with commas between them; the path of a file that is there may hold commas itself."""
    parts, results = text.split(","), []
    while parts:
        length = next((number for number in range(len(parts), 1, -1) if Path(",".join(parts[:number]).strip()).is_file()), 1)
        results.append(",".join(parts[:length]).strip())
        parts = parts[length:]
    if not any(results):
        raise argparse.ArgumentTypeError("nothing is named")
    return tuple(filter(None, results))


def filled(text: str) -> str:
    """A text that is not empty."""
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty; leave it out, or say something")
    return text


def amount(text: str) -> float:
    """A number from 0 to `LARGEST`."""
    return _number(text, LARGEST)


def temperature(text: str) -> float:
    """A temperature of drawn answers, from 0 to `HOTTEST`."""
    return _number(text, HOTTEST)


def _number(text: str, most: int) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= most:
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of at least 0 and at most {most:,}")
    return number


def share(text: str) -> float:
    """A number above 0 and at most 1."""
    number = amount(text)
    if not 0 < number <= 1:
        raise argparse.ArgumentTypeError(f"'{text}' is not above 0 and at most 1")
    return number


def count(text: str) -> int:
    """A whole number from 0 to `LARGEST`."""
    return 0 if text == "0" else _whole(text, 0)


def processes(text: str) -> int:
    """A number of processes: a mistyped one must not fill the machine."""
    number = positive(text)
    if number > MOST_PROCESSES:
        raise argparse.ArgumentTypeError(f"'{text}' processes are more than {MOST_PROCESSES:,}")
    return number


def positive_or_auto(text: str) -> int | str:
    """A whole number from 1 to `LARGEST`, or "auto"."""
    return text if text == "auto" else positive(text)


def port(text: str) -> int:
    """A TCP port from 1 to 65535."""
    number = positive(text)
    if number > 65_535:
        raise argparse.ArgumentTypeError(f"'{text}' is not a port (1 to 65535)")
    return number


def sizes(text: str) -> tuple[int, ...]:
    """Whole numbers with commas between them."""
    return tuple(positive(part) for part in names(text))


def positive(text: str) -> int:
    """A whole number from 1 to `LARGEST`."""
    return _whole(text, 1)


def length(text: str) -> int:
    """An amount of text, in tokens or characters, from 1 to `MOST_TEXT`: trainings read tens of billions. 2e8 and 200_000_000 are taken too."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal(0)
    if number.is_finite() and 1 <= number <= MOST_TEXT and number == number.to_integral_value():
        text = str(int(number))
    return _whole(text, 1, MOST_TEXT)


def _whole(text: str, least: int, most: int = LARGEST) -> int:
    number = int(text) if text.isdecimal() and len(text) <= 20 else -1
    if not least <= number <= most:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least {least} and at most {most:,}")
    return number


def seed(text: str) -> int:
    """A whole number from 0 on, of at most 18 digits."""
    if not text.isdecimal() or len(text) > 18:
        raise argparse.ArgumentTypeError(f"'{text}' is not a whole number of at least 0 and at most 18 digits")
    return int(text)
