r"""Are two answers of a mathematics problem the same? By value where both can be computed, else by their LaTeX without what does not matter."""

from __future__ import annotations

import re
from fractions import Fraction

_LAYOUT = re.compile(r"\\(?:left|right|displaystyle|,|;|!|:| |quad|limits)(?![a-zA-Z])")
_TEXT = re.compile(r"\\(?:text|textbf|mathrm|mbox|operatorname)\s*\{([^{}]*)\}")
_UNIT = re.compile(r"(?:\\?%|\^?\{?\\circ\}?|°|度)$")
_BARE_FRACTION = re.compile(r"\\[dt]?frac\s*(?:(\d)|\{([^{}]*)\})\s*(?:(\d)|\{([^{}]*)\})")
_TOKENS = re.compile(r"\d+(?:\.\d+)?|\.\d+|[-+*/()^]")
MAX_DIGITS = 30


def math_match(prediction: str, answer: str) -> float:
    r"""Whether two answers are the same number, or the same expression as written: \frac12 and 0.5, \dfrac{1}{2} and 1/2, (1,2) and ( 1, 2 ).

    As in the scorer of MATH (Hendrycks et al. 2021, arXiv 2103.03874), dollar signs, sizes of brackets, spaces, units of angle and percent signs do not count,
    nor what stands before "x=". Expressions are not rearranged: 1+\sqrt2 is not \sqrt2+1.
    """
    left, right = _plain(prediction), _plain(answer)
    if left == right:
        return float(bool(right))
    values = _value(left), _value(right)
    return float(values[0] is not None and values[0] == values[1])


def _plain(text: str) -> str:
    text = text.strip().strip("$").strip().rstrip("。.").replace("\\$", "")
    text = _LAYOUT.sub("", _TEXT.sub(r"\1", text)).replace("\\cdot", "*").replace("\\times", "*").replace("−", "-")
    text = re.sub(r"(?<=\d)(?:,|\{,\}|\\!)(?=\d{3}(?!\d))", "", text)
    while (shorter := _BARE_FRACTION.sub(lambda m: f"(({m[1] or m[2]})/({m[3] or m[4]}))", text)) != text:
        text = shorter
    text = re.sub(r"\\sqrt\s*(\d)", r"\\sqrt{\1}", text)
    text = _UNIT.sub("", "".join(text.split()).replace("\\{", "{").replace("\\}", "}"))
    return re.sub(r"^[a-zA-Z](?:\([a-zA-Z]\))?=", "", text)


def _value(text: str) -> Fraction | None:
    """The value of a sum of whole numbers, decimals and fractions; None for anything else, and for numbers that are very long."""
    tokens = _TOKENS.findall(text)
    if not tokens or "".join(tokens) != text or any(len(token) > MAX_DIGITS for token in tokens) or len(tokens) > 100:
        return None
    try:
        value, rest = _sum(tokens)
    except (ValueError, ZeroDivisionError, IndexError):
        return None
    return None if rest else value


def _sum(tokens: list[str]) -> tuple[Fraction, list[str]]:
    value, tokens = _product(tokens)
    while tokens and tokens[0] in "+-":
        sign = tokens[0]
        other, tokens = _product(tokens[1:])
        value = value + other if sign == "+" else value - other
    return value, tokens


def _product(tokens: list[str]) -> tuple[Fraction, list[str]]:
    value, tokens = _factor(tokens)
    while tokens and tokens[0] in "*/":
        sign = tokens[0]
        other, tokens = _factor(tokens[1:])
        value = value * other if sign == "*" else value / other
    return value, tokens


def _factor(tokens: list[str]) -> tuple[Fraction, list[str]]:
    if tokens[0] in "+-":
        value, rest = _factor(tokens[1:])
        return (-value if tokens[0] == "-" else value), rest
    if tokens[0] == "(":
        value, rest = _sum(tokens[1:])
        if rest[0] != ")":
            raise ValueError(rest[0])
        return _powered(value, rest[1:])
    return _powered(Fraction(tokens[0]), tokens[1:])


def _powered(value: Fraction, tokens: list[str]) -> tuple[Fraction, list[str]]:
    if tokens[:1] != ["^"]:
        return value, tokens
    power = Fraction(tokens[1])
    if power.denominator != 1 or power > 20:
        raise ValueError(tokens[1])
    return value ** int(power), tokens[2:]
