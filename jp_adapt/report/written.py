"""Numbers, durations and sizes as a page shows them."""

from __future__ import annotations

import math
from typing import Any

DASH = "\u2013"  # shown in place of a missing number


def finite(value: Any) -> float | None:
    """The value if it is a number that can be shown: neither None, nor NaN, nor infinite."""
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def number_text(value: Any, digits: int, *, times: float = 1, sign: bool = False) -> str:
    """A number, multiplied by `times`, with a true minus sign and separated thousands; a dash for what is not a number."""
    number = finite(value)
    if number is None:
        return DASH
    rounded = round(number * times, digits) + 0.0  # a negative zero becomes a plain one
    return _minus(f"{rounded:{'+' if sign and rounded else ''},.{digits}f}")


def plural(count: Any, noun: str) -> str:
    """A number with its noun."""
    return f"{number_text(count, 0)} {noun}{'' if count == 1 else 's'}"


def range_text(bounds: tuple[float, float] | None, digits: int, *, times: float = 1, sign: bool = False) -> str:
    """An interval as two numbers; nothing for no interval."""
    return " to ".join(number_text(bound, digits, times=times, sign=sign) for bound in bounds) if bounds else ""


def duration_text(seconds: Any) -> str:
    """A time in the two largest units that it has."""
    number = finite(seconds)
    if number is None or number < 60:
        return DASH if number is None else f"{number:.1f} s"
    hours, minutes, rest = round(number) // 3600, round(number) // 60 % 60, round(number) % 60
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def size_text(count: Any) -> str:
    """A number of bytes in the largest binary unit that it fills."""
    number = finite(count)
    if number is None:
        return DASH
    size, unit = next(((2**power, unit) for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")) if number >= 2**power), (1, "B"))
    return f"{number / size:.{0 if size == 1 else 1}f} {unit}"


def value_text(value: float) -> str:
    """A value for a hover title or a description: four significant digits, thousands separated."""
    if abs(value) >= 1000:
        return _minus(f"{value:,.0f}")
    return _minus(f"{value:.4g}") if value == 0 or abs(value) >= 1e-4 else _minus(f"{value:.3e}")


def _minus(text: str) -> str:
    return text.replace("-", "\u2212")
