"""How numerals form a number: digits of any width, kanji by place or with units, and mixtures of them (2千300, 1億2,000万, 三百点五)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from jp_adapt.text.numeral_words import BIG_UNITS, DIGITS, SMALL_UNITS, TENS

MAX_DIGITS = 300  # no answer is longer, and a float holds it: what is larger counts as LARGEST, and further decimals as none
LARGEST = Fraction(10**MAX_DIGITS)

_SMALL = {unit: exponent for exponent, unit in enumerate(SMALL_UNITS, start=1)}
_BIG = {unit: 4 * step for step, unit in enumerate(BIG_UNITS, start=1)}
_TENS = {char: Fraction(10 * value) for value, char in enumerate(TENS, start=2)}
_VALUES = str.maketrans({**dict(zip(DIGITS, "00123456789", strict=True)), "○": "0", "◯": "0"})
_NO_DIGIT = re.compile(r"[,，{}]")

# Thousands are in groups of three; any other comma, and every 、, stands between two numbers. 1.2.3 has no decimals.
ARABIC = re.compile(r"(?P<whole>[1-9１-９]\d{0,2}(?:(?:[,，]|\{,\})\d{3})+(?![,，]?\d)|\d+)(?:[.．](?P<part>\d+)(?![.．]?\d))?")
_ARABIC_PART = re.compile(r"(?:点|コンマ|カンマ)(\d+)(?![\d.．点人名個枚本回位戦勝敗満年月日])")  # 「3点5」, and not 「80点5人」
_GROUPED = rf"[{DIGITS}]{{1,3}}(?:[,，][{DIGITS}]{{3}})+(?![,，]?[{DIGITS}{SMALL_UNITS}])"
_KANJI = re.compile(rf"(?P<whole>{_GROUPED}|[{DIGITS}][{DIGITS}○◯]*|ゼロ)")
_POINT = r"(?:点|コンマ|カンマ|・|[.．])"
_KANJI_PART = re.compile(rf"{_POINT}(?P<part>[{DIGITS}]+)(?![{DIGITS}{SMALL_UNITS}]|{_POINT})")
_LIST = re.compile("[年月日号級組番丁学]|事件")  # 「一・二年生」, 「二・二六事件」: there ・ is not a point
_PEOPLE = re.compile("点.[人名個枚本回位]")  # 「百点三人」
_LEADING_POINT = re.compile(r"(?<![A-Za-z\d.．…)\]）])[.．](?P<part>\d+)(?![.．]?\d)")
START = re.compile(rf"\d|[{DIGITS}{SMALL_UNITS}{TENS}]|(?<![ァ-ヶー])ゼロ(?=コンマ|カンマ|(?![ァ-ヶー]))|{_LEADING_POINT.pattern.replace('?P<part>', '')}")


@dataclass(frozen=True)
class _Part:
    """Numerals in a row. `kanji`: how many digits in kanji it is made of, 0 where it has a unit or other digits."""

    start: int
    end: int
    value: Fraction
    kanji: int = 0
    whole: bool = True

    def fits(self, text: str, width: int) -> bool:
        """Whether it can stand behind a unit of `width` zeros: 一万二三四五, 三千〇五, 1万500; 千二三 are two numbers."""
        return self.value < 10**width and (self.kanji in (0, 1, width) or text[self.start] in "〇零")


def magnitude(text: str, start: int) -> tuple[Fraction, int]:
    """Value and end of the number without a sign that begins at `start`, a place where START matches. 大字 must be modern numerals already."""
    if (point := _LEADING_POINT.match(text, start)) is not None:
        return _decimal("0", point["part"]), point.end()
    value, end, width = Fraction(0), start, 0
    part = _section(text, start)
    while part is not None:
        unit = _unit(text, part.end)
        exponent = _BIG.get(text[unit : unit + 1])
        if exponent is None:
            if width == 0 or part.fits(text, width):
                value, end = value + part.value, part.end
            break
        if width and exponent >= width:
            break  # 2万3万: it begins the next number
        value, end, width = value + part.value * 10**exponent, unit + 1, exponent
        part = _section(text, end) or _apart(text, end)
    return min(value, LARGEST), end


def continues_digits(text: str) -> bool:
    """Whether `text` would continue the number of Arabic digits in front of it: .5, ,500, 点5."""
    return re.match(r"[.．,，]\d", text) is not None or _ARABIC_PART.match(text) is not None


def _apart(text: str, at: int) -> _Part | None:
    """The part after a big unit and a space, provided that it has a unit of its own: 1億 2000万."""
    part = _section(text, at + 1) if re.match(r" \d", text[at : at + 2]) else None
    unit = _unit(text, part.end) if part is not None else at
    return part if text[unit : unit + 1] in tuple(_BIG) else None


def _section(text: str, at: int) -> _Part | None:
    """The part before a big unit or at the end: 2千300, 五百, 1,200, 12. None if there is no numeral."""
    value, end, width = Fraction(0), at, 0
    while True:
        if text[end : end + 1] in _TENS and (width == 0 or width > 1):
            value, end, width = value + _TENS[text[end]], end + 1, 1
            continue
        count = _coefficient(text, end)
        unit = _unit(text, count.end) if count is not None else end
        exponent = _SMALL.get(text[unit : unit + 1], 0)
        if exponent and (width == 0 or exponent < width) and (count is None or _counts(text, count, unit, exponent, first=width == 0)):
            value, end, width = value + (count.value if count is not None else 1) * 10**exponent, unit + 1, exponent
            continue
        if count is not None and width == 0:
            return _without_last(text, count) if exponent and count.kanji > 1 else count
        if count is not None and not exponent and count.fits(text, width):
            return _Part(at, count.end, value + count.value)
        break
    if end == at:
        return None
    point = _KANJI_PART.match(text, end)
    if point is not None and text[end] != "・" and not _PEOPLE.match(text, end):
        return _Part(at, point.end(), value + _decimal("0", point["part"]))
    return _Part(at, end, value)


def _counts(text: str, count: _Part, unit: int, exponent: int, first: bool) -> bool:
    """Whether `count` can stand before a unit: a digit always; 15千 and 15百万 as accounts have them; neither 40十 nor 三四百."""
    if not count.value:
        return False
    if count.kanji or count.value < 10:
        return count.kanji <= 1 and (exponent > 1 or count.whole)
    return first and (exponent == 3 or (exponent == 2 and (count.value < 100 or text[unit + 1 : unit + 2] in tuple(_BIG))))


def _without_last(text: str, count: _Part) -> _Part:
    """二三百 are two numbers, and the unit belongs to the second."""
    return _Part(count.start, count.end - 1, _integer(text[count.start : count.end - 1]), count.kanji - 1)


def _coefficient(text: str, at: int) -> _Part | None:
    """Digits, Arabic or kanji, with their decimals."""
    if (match := ARABIC.match(text, at)) is not None:
        part, end = match["part"], match.end()
        if part is not None and re.search(r"\d[.．]$", text[max(0, at - 2) : at]):
            part, end = None, match.end("whole")  # 1.2.3
        elif part is None and (word := _ARABIC_PART.match(text, end)) is not None:
            part, end = word[1], word.end()
        return _Part(at, end, _decimal(match["whole"], part or ""), whole=part is None)
    if (match := _KANJI.match(text, at)) is None:
        return None
    whole, end = match["whole"], match.end()
    point = _KANJI_PART.match(text, end)
    if point is None or (text[end] == "・" and (text[at - 1 : at] == "・" or _LIST.match(text, point.end()))):
        return _Part(at, end, _integer(whole), len(_NO_DIGIT.sub("", whole)))
    return _Part(at, point.end(), _decimal(whole, point["part"]), 1 if len(whole) == 1 else len(whole), whole=False)


def _unit(text: str, at: int) -> int:
    """Where the unit of a number that ends at `at` would stand: at once, or, behind an Arabic digit, behind a space (1,200 万)."""
    spaced = text[at : at + 1] in (" ", "\u3000") and text[at - 1].isdecimal() and text[at + 1 : at + 2] in (*_SMALL, *_BIG)
    return at + 1 if spaced else at


def _integer(whole: str) -> Fraction:
    digits = _NO_DIGIT.sub("", whole).translate(_VALUES).replace("ゼロ", "0").lstrip("0０")
    return Fraction(int(digits or "0")) if len(digits) <= MAX_DIGITS else LARGEST


def _decimal(whole: str, part: str) -> Fraction:
    decimals = part.translate(_VALUES)[:MAX_DIGITS]
    return _integer(whole) + (Fraction(int(decimals), 10 ** len(decimals)) if decimals else 0)
