"""Japanese normalisation in named tables: every row says why two spellings are one answer. For answers; training text has `jp_adapt.text.tables`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable

from jp_adapt.text.numerals import replace_numerals, without_grouping

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
# A trailing 。 or ! belongs to the sentence, not to the answer; inside an answer (「モーニング娘。」 aside) it is kept.
_END = re.compile(r"[\s。．.、,，!！?？・:：;；]+$")


def _translate(rows: Iterable[Row]) -> Callable[[str], str]:
    table = {ord(old): new for olds, news, _ in rows for old, new in zip(olds, news, strict=True)}
    return lambda text: text.translate(table)


def replace_units(text: str) -> str:
    """Replace units spelled out in katakana by their symbols if they follow a number."""
    for name, symbol, _ in UNITS:
        text = re.sub(rf"(?<=[0-9０-９〇一二三四五六七八九十百千万億兆]){name}", symbol, text)
    return text


def collapse_spaces(text: str) -> str:
    """Remove white space at the ends and between Japanese characters; elsewhere reduce it to one space."""
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
    "number_commas": without_grouping,
    "kanji_numerals": replace_numerals,
}


def normalise(text: str, names: Iterable[str]) -> str:
    """`text` after the named normalisers, in order."""
    for name in names:
        text = NORMALISERS[name](text)
    return text
