"""Numbers in Japanese text, read where they stand: 1万8000, ３万５千, 1.5万, 二〇二四, 三点五, 金壱百弐拾万, △5, 3分の2. The text is never rewritten first."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from jp_adapt.text.numeral_grammar import ARABIC, MAX_DIGITS, START, continues_digits, magnitude
from jp_adapt.text.numeral_words import without_words

_ENCLOSED = "\u00bc-\u00be\u2150-\u215e\u2460-\u249b\u24ea-\u24ff\u2776-\u2793\u3220-\u3229\u3251-\u325f\u3280-\u3289\u32b1-\u32bf"  # ½ ① ⑴ ⒈ ❶ ㈠ ㉑ ㊀
_ANY_START = re.compile(rf"{START.pattern}|[{_ENCLOSED}]|\\[dt]?frac\{{\d")
_IS_ENCLOSED = re.compile(f"[{_ENCLOSED}]")
_TEX_FRACTION = re.compile(r"\\[dt]?frac\{(\d{1,9})\}\{(\d{1,9})\}")
# Neither a date (2024/3/15) nor a division (33 × 210/100, 120/4 = 30, 7 / 2).
_SLASH = re.compile(r"(\d{1,3})[/／⁄]([1-9１-９]\d{0,2})(?![\d/／⁄]|[.．]\d| ?[=＝×÷*])")
_BEFORE_NO_FRACTION = re.compile(r"[\d/／⁄.．]$|[×÷*] ?$")
_OF = re.compile("分の|ぶんの")
_TEN_TO = re.compile(r" ?(?:[×xX*]|\\times) ?10(?:\^|\*\*)\{?([-−]?\d{1,3})\}?|[eE]([-+]?\d{1,3})(?![\w.])")
# Digits behind a letter belong to a name or a unit (H2O, A4, cm2, GPT-4), but for codes of currencies, "No" and "p", x for "times", and commands of TeX.
_NAME = re.compile(r"(?P<before>\\|\d)?(?P<letters>[A-Za-zＡ-Ｚａ-ｚ_]+)(?P<hyphen>[-‐‑]?)$")
_BEFORE_NUMBERS = frozenset(["no", "nos", "p", "pp", "x", "us", "usd", "jpy", "eur", "gbp", "cny", "rmb", "krw", "twd", "hkd", "aud", "cad", "rs"])
_TRIANGLE = re.compile("[△▲]$")
_MINUS = re.compile(r"(?:[-−－﹣–‐‑‒]|(?:マイナス|負の) ?)$")
# What stands between two numbers that a minus takes apart: 100円-50円, 3つ-2つ, 10 - 3. Other hiragana, and marks, end what is subtracted from.
_OPERAND = re.compile(r"(?:[^\W\u3041-\u3096]|[つ%％°℃)）\]」$])* ?$")
_NEAR = 12  # characters that are looked at before a number


@dataclass(frozen=True)
class Number:
    """A number of a text: `text[start:end]` is how it is written, with its sign."""

    start: int
    end: int
    value: Fraction


def read_numbers(text: str) -> list[Number]:
    """The numbers in a text, in order, in time proportional to its length.

    Read are digits of any width with groups of three (`,` or `，`) and decimals, kanji by place (二〇二四) or with units, 大字, and mixtures of all of them
    (2千300, １億2,000万, 15百万); signs (- − － マイナス △ ▲), fractions (3分の2, 2と1/2, ½), powers (1.5×10^4), ①. 100〜200, 3-5 and 100、200 are two.
    No numbers are words that hold such characters (一応, 十分です, 千葉, H2O). What is counted in kana (ふたつ), Roman numerals and 半 are not read.
    """
    readable = without_words(text)
    results: list[Number] = []
    at = 0
    while (match := _ANY_START.search(readable, at)) is not None:
        start = match.start()
        value, at, is_fraction = _unsigned(readable, start)
        if readable[start].isdecimal() and _in_name(readable[max(0, start - _NEAR) : start]):
            continue
        if is_fraction and results and _is_mixed(results[-1], readable, start, value):
            whole = results.pop()
            results.append(Number(whole.start, at, whole.value + value if whole.value > 0 else whole.value - value))
            continue
        first = _sign_start(readable, start, results[-1].end if results else None)
        results.append(Number(first, at, value if first == start else -value))
    return results


def first_number(text: str) -> Number | None:
    """The first number in a text; None if there is none."""
    return next(iter(read_numbers(text)), None)


def last_number(text: str) -> Number | None:
    """The last number in a text; None if there is none."""
    return next(reversed(read_numbers(text)), None)


def number_text(value: Fraction) -> str:
    """A number in ASCII digits: 18000, -3.5, or 2/3 if no decimal is exact."""
    rest, places = value.denominator, 0
    for prime in (2, 5):
        power = 0
        while rest % prime == 0:
            rest, power = rest // prime, power + 1
        places = max(places, power)
    if rest != 1:
        return f"{value.numerator}/{value.denominator}"
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    return ("-" if value < 0 else "") + (f"{digits[:-places]}.{digits[-places:]}" if places else digits)


def replace_numerals(text: str) -> str:
    """Numbers with kanji in them as digits: 三百二十個 becomes 320個, 1.5万 15000. Two that digits would make one of stay: 二三千, 1点三."""
    while (replaced := _replaced_once(text)) != text:  # 三 万 is 3 万, and that is 30000; each pass leaves fewer numerals
        text = replaced
    return text


def _replaced_once(text: str) -> str:
    readable = without_words(text)
    spans = list(_magnitudes(readable))
    joined = [
        before == start or continues_digits(readable[before:start] + number_text(value) + readable[end:])
        for (_, before, _), (start, end, value) in pairwise(spans)
    ]
    parts, done = [], 0
    for index, (start, end, value) in enumerate(spans):
        touches = any(joined[max(0, index - 1) : index + 1])
        if not touches and re.search(r"[^\d.．,，{}]", readable[start:end]):
            parts += [text[done:start], number_text(value)]
            done = end
    return "".join([*parts, text[done:]])


def without_grouping(text: str) -> str:
    """Digits without the commas of their thousands: 1,234 becomes 1234; 1,23 and 1、234 stay."""
    return ARABIC.sub(lambda match: re.sub(r"[,，{}]", "", match["whole"]) + match.group()[len(match["whole"]) :], text)


def _magnitudes(readable: str) -> Iterator[tuple[int, int, Fraction]]:
    at = 0
    while (match := START.search(readable, at)) is not None:
        value, at = magnitude(readable, match.start())
        yield match.start(), at, value


def _unsigned(readable: str, start: int) -> tuple[Fraction, int, bool]:
    """Value and end of what begins at `start`, and whether it is written as a fraction."""
    if (match := _TEX_FRACTION.match(readable, start) or _slash(readable, start)) is not None and int(match[2]):
        return Fraction(int(match[1]), int(match[2])), match.end(), True
    if readable[start] == "\\":
        return *magnitude(readable, readable.index("{", start) + 1), False
    if _IS_ENCLOSED.match(readable[start]):
        return Fraction(unicodedata.numeric(readable[start])).limit_denominator(100), start + 1, readable[start] < "\u2460"
    value, end = magnitude(readable, start)
    of = _OF.match(readable, end)
    if of is not None and value and START.match(readable, of.end()):
        numerator, end = magnitude(readable, of.end())
        return numerator / value, end, True
    if readable[end - 1].isdecimal() and (power := _TEN_TO.match(readable, end)) is not None:
        exponent = int((power[1] or power[2]).replace("−", "-"))
        return (value * Fraction(10) ** exponent, power.end(), False) if abs(exponent) <= MAX_DIGITS // 2 else (value, end, False)
    return value, end, False


def _slash(readable: str, start: int) -> re.Match[str] | None:
    return None if _BEFORE_NO_FRACTION.search(readable[max(0, start - 2) : start]) else _SLASH.match(readable, start)


def _in_name(before: str) -> bool:
    """Whether the digits behind `before` belong to a name or a unit."""
    match = _NAME.search(before)
    if match is None or match["before"] == "\\":
        return False
    letters = unicodedata.normalize("NFKC", match["letters"])
    if match["hyphen"]:
        return match["before"] is None and (len(letters) > 1 or letters.isupper())  # GPT-4, B-29; 3kg-5kg and x-5 are differences
    return letters.lower() not in _BEFORE_NUMBERS


def _is_mixed(whole: Number, readable: str, start: int, value: Fraction) -> bool:
    """Whether a fraction belongs to the number before it: 2と1/2, 2 1/2, 2½."""
    between = readable[whole.end : start]
    return (
        0 < value < 1
        and whole.value.denominator == 1
        and bool(whole.value)
        and (between == "と" or (between in ("", " ") and "の" not in readable[start : start + 4]))
    )


def _sign_start(readable: str, start: int, previous: int | None) -> int:
    """Where the minus of a number begins, or `start` where it has none. A hyphen behind an operand, as in 5-3 and 100円-50円, is not a minus."""
    before = readable[max(0, start - _NEAR) : start]
    sign = _TRIANGLE.search(before) or _MINUS.search(before)
    if sign is None:
        return start
    first = start - len(before) + sign.start()
    if _TRIANGLE.match(sign.group()) is None:
        left = readable[max(0, first - _NEAR) : first]
        if re.search("[-−－A-Za-z)）]$", left) or (previous is not None and _OPERAND.fullmatch(readable, previous, first) and first - previous <= _NEAR):
            return start
    return first
