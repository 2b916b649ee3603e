"""Japanese normalisation in named tables: every row says why two spellings are one answer. For answers; training text has `jp_adapt.text.tables`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable

Row = tuple[str, str, str]  # characters, what they become, why

WIDTH: tuple[Row, ...] = (
    ("".join(map(chr, range(0xFF01, 0xFF5F))), "".join(map(chr, range(0x21, 0x7F))), "full-width ASCII is the same character typed with an input method"),
    ("\u3000", " ", "the ideographic space separates as a space does"),
    ("￥￠￡", "¥¢£", "full-width currency signs"),
)
DASHES: tuple[Row, ...] = (
    ("‐‑‒–—―−﹣－", "-" * 9, "hyphens, dashes and the minus sign are typed for each other; NFKC leaves most of them"),
    ("～〜∼", "~~~", "the wave dash of JIS is mapped to different code points on Windows and elsewhere"),
)
BRACKETS: tuple[Row, ...] = (
    ("〔【［〈《｛〘〖", "[[[<<{[[", "kinds of brackets carry no meaning in an answer"),
    ("〕】］〉》｝〙〗", "]]]>>}]]", "as above"),
    ("（）", "()", "full-width parentheses"),
)
QUOTES: tuple[Row, ...] = (
    ("「」『』〝〟", '""""""', "titles are quoted or not, in one of several ways"),
    ("“”„‟", '""""', "typographic quotes"),
    ("‘’‚‛", "''''", "typographic apostrophes"),
)
UNITS: tuple[tuple[str, str, str], ...] = (
    ("パーセント", "%", "unit spelled out"),
    ("キログラム", "kg", "unit spelled out"),
    ("キロメートル", "km", "unit spelled out"),
    ("センチメートル", "cm", "unit spelled out"),
    ("ミリメートル", "mm", "unit spelled out"),
    ("ミリリットル", "ml", "unit spelled out"),
    ("メートル", "m", "unit spelled out; after its multiples"),
    ("グラム", "g", "unit spelled out; after its multiples"),
    ("リットル", "l", "unit spelled out; after its multiples"),
    ("ドル", "$", "unit spelled out"),
)
_DIGITS = {char: value for value, char in enumerate("〇一二三四五六七八九")} | {"零": 0}
_TENS = {"十": 10, "百": 100, "千": 1000}
_MYRIADS = {"万": 10**4, "億": 10**8, "兆": 10**12, "京": 10**16}
_KANJI_NUMBER = re.compile(r"[〇零一二三四五六七八九十百千万億兆京]+")
# Words in which a kanji numeral counts nothing: left as they are, else 「一番」 and 「1番」 would be told apart from their own reading.
_NO_NUMBERS = re.compile(r"一般|一緒|一部|一方|一致|唯一|統一|万一|万歳|千葉|八百屋|百貨店|三重県|四国|九州|五輪|十分に")
_NUMBER_COMMA = re.compile(r"(?<=\d)[,、，](?=\d{3}(?!\d))")
# A trailing 。 or ! belongs to the sentence, not to the answer; inside an answer (「モーニング娘。」 aside) it is kept.
_END = re.compile(r"[\s。．.、,，!！?？・:：;；]+$")


def _translate(rows: Iterable[Row]) -> Callable[[str], str]:
    table = {ord(old): new for olds, news, _ in rows for old, new in zip(olds, news, strict=True)}
    return lambda text: text.translate(table)


def replace_units(text: str) -> str:
    """Units spelled out in katakana as their symbols, where a number stands before them."""
    for name, symbol, _ in UNITS:
        text = re.sub(rf"(?<=[0-9０-９〇一二三四五六七八九十百千万億兆]){name}", symbol, text)
    return text


def remove_number_commas(text: str) -> str:
    """Commas between groups of three digits away: 1,234 is 1234."""
    return _NUMBER_COMMA.sub("", text)


def kanji_number(text: str) -> int | None:
    """Value of a number in kanji, positional (二〇二四) or with units (三百二十万); None where it is none."""
    if not text:
        return None
    if all(char in _DIGITS for char in text):
        return int("".join(str(_DIGITS[char]) for char in text))
    total = section = digit = 0
    have_digit = False
    for char in text:
        if char in _DIGITS:
            if have_digit:
                return None
            digit, have_digit = _DIGITS[char], True
        elif char in _TENS:
            section += (digit if have_digit else 1) * _TENS[char]
            digit, have_digit = 0, False
        elif char in _MYRIADS:
            value = section + digit
            total += (value or 1) * _MYRIADS[char]
            section = digit = 0
            have_digit = False
        else:
            return None
    return total + section + digit


def replace_kanji_numbers(text: str) -> str:
    """Numbers in kanji as digits (三百二十 becomes 320, 3万 becomes 30000); words that only contain such a character stay."""
    kept = [(match.start(), match.end()) for match in _NO_NUMBERS.finditer(text)]

    def digits(match: re.Match[str]) -> str:
        if any(start < match.end() and match.start() < end for start, end in kept):
            return match.group()
        value = kanji_number(match.group())
        return match.group() if value is None else str(value)

    text = re.sub(r"(\d+)([万億兆])(?![〇零一二三四五六七八九十百千万億兆京\d])", lambda match: str(int(match[1]) * _MYRIADS[match[2]]), text)
    kept = [(match.start(), match.end()) for match in _NO_NUMBERS.finditer(text)]
    return _KANJI_NUMBER.sub(digits, text)


def collapse_spaces(text: str) -> str:
    """White space at the ends away, and between Japanese characters; elsewhere one space."""
    return re.sub(r"(?<=[^\x00-\x7f]) | (?=[^\x00-\x7f])", "", " ".join(text.split()))


NORMALISERS: dict[str, Callable[[str], str]] = {
    "nfkc": lambda text: unicodedata.normalize("NFKC", text),
    "width": _translate(WIDTH),
    "dashes": _translate(DASHES),
    "brackets": _translate(BRACKETS),
    "quotes": lambda text: _translate(QUOTES)(text).strip("\"' "),
    "spaces": collapse_spaces,
    "case": str.casefold,
    "punctuation": lambda text: _END.sub("", text),
    "units": replace_units,
    "number_commas": remove_number_commas,
    "kanji_numerals": replace_kanji_numbers,
}


def normalise(text: str, names: Iterable[str]) -> str:
    """`text` after the named normalisers, in order."""
    for name in names:
        text = NORMALISERS[name](text)
    return text
