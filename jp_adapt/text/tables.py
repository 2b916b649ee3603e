"""Tables for cleaning training text: each row says why. Nothing here changes what a reader sees or what code means, but for the tables named as optional.

Comparing answers is a matter of `jp_adapt.text.normalise`, which goes much further. Neither is NFKC: that also turns ① into 1, ㍿ into 株式会社, ² into 2
and … into three periods, and cannot be undone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from jp_adapt.text.normalise import WIDTH, Row


def _between(first: int, last: int) -> str:
    return "".join(map(chr, range(first, last + 1)))


_HALF_KANA = _between(0xFF61, 0xFF9F)
_FULL_KANA = "。「」、・ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン゛゜"

# Characters -> what each becomes; an empty string takes them out.
CHARACTERS: dict[str, tuple[Row, ...]] = {
    "control": (
        ("\x0b\x0c\x85\u2028\u2029", "\n" * 5, "line and page separators other than the line feed: tokenizers and line counts know only that"),
        (_between(0, 8) + _between(0x0E, 0x1F) + _between(0x7F, 0x84) + _between(0x86, 0x9F), "", "C0 and C1 controls: left by terminals and wrong decodings"),
        ("\ufeff\u200b\u2060\u00ad", "", "byte order mark, zero-width spaces and soft hyphen: nobody sees them, and they break words for a tokenizer"),
        (
            "\u200e\u200f" + _between(0x202A, 0x202E) + _between(0x2066, 0x2069),
            "",
            "marks of writing direction: no use in Japanese, and they hide what code says",
        ),
        (_between(0xFDD0, 0xFDEF) + "\ufffe\uffff", "", "noncharacters"),
    ),
    "variation_selectors": (
        (
            _between(0xFE00, 0xFE0D) + _between(0xE0100, 0xE01EF),
            "",
            "choose a glyph of a kanji, not another kanji; U+FE0E and U+FE0F stay: they make an emoji one",
        ),
    ),
    "spaces": (
        ("\u00a0" + _between(0x2000, 0x200A) + "\u202f\u205f", " " * 14, "spaces of other widths, and those that forbid a line break: layout, not text"),
    ),
    "ideographic_space": (("\u3000", " ", "optional: Japanese paragraphs begin with one, and layout is made of it"),),
    "wave_dash": (("～", "〜", "JIS 1-33 is U+FF5E on Windows and U+301C elsewhere; the standard's name for it is wave dash"),),
    "half_width_kana": ((_HALF_KANA, _FULL_KANA, "half-width kana are the same letters, squeezed for terminals of the 1980s"),),
    "full_width_ascii": (WIDTH[0], ("￥￠￡￢￣￤", "¥¢£¬¯¦", "optional: full-width signs of Latin-1")),
}
OPTIONAL = ("ideographic_space", "full_width_ascii")  # typographic choices of Japanese authors, not noise
_REPLACEMENTS = {
    name: {char: new for olds, news, _ in rows for char, new in (zip(olds, news, strict=True) if news else ((old, "") for old in olds))}
    for name, rows in CHARACTERS.items()
}
# What is more than one character long, done before the characters of the table of that name.
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)")  # ECMA-48 5.4: colours of terminals; and OSC, titles and links
_HALF_VOICED = re.compile("[ｳｶ-ﾄﾊ-ﾎﾜｦ]ﾞ|[ﾊ-ﾎ]ﾟ")
# A dakuten or handakuten of its own after a kana that has a voiced form (か゛, か + U+3099); あ゛ is a sound of comics and stays.
_MARKED = re.compile("[うか-こさ-そた-ちつ-とは-ほゝウカ-コサ-ソタ-チツ-トハ-ホワ-ヲヽ][\u3099\u309b]|[は-ほハ-ホ][\u309a\u309c]")
_COMBINING = str.maketrans("゛゜", "\u3099\u309a")
# The order in which tables are applied, whatever the order of their names: no later one makes work for an earlier one, so that twice is once.
ORDER = ("control", "variation_selectors", "spaces", "ideographic_space", "half_width_kana", "dakuten", "wave_dash", "full_width_ascii", "nfc")
DEFAULT = tuple(name for name in ORDER if name not in OPTIONAL)


def apply_tables(text: str, names: Iterable[str]) -> tuple[str, dict[str, int]]:
    """`text` after the named tables, in the order of `ORDER`, and table -> how often it changed something.

    "nfc" counts once: composition is not a matter of places. It also replaces the compatibility kanji that Unicode makes equal to others (U+FA19 to 神).

    Raises:
        KeyError: a name that is not in `ORDER`.
    """
    counts: dict[str, int] = {}
    seen = set(text)  # one pass tells which tables have anything to do: most texts hold none of their characters
    for name in sorted(set(names), key=dict(zip(ORDER, range(len(ORDER)), strict=True)).__getitem__):
        text, number = _apply(name, text, seen)
        if number:
            counts[name] = number
            seen = set(text)
    return text, counts


def _apply(name: str, text: str, seen: set[str]) -> tuple[str, int]:
    if name == "nfc":
        return (text, 0) if unicodedata.is_normalized("NFC", text) else (unicodedata.normalize("NFC", text), 1)
    if name == "dakuten":
        return _compose(_MARKED, text) if seen & set("\u3099\u309a\u309b\u309c") else (text, 0)
    replacements = _REPLACEMENTS[name]
    results = seen & replacements.keys()
    number = 0
    if name == "control" and "\r" in seen:
        number = text.count("\r")
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if name == "control" and "\x1b" in seen:
        text, sequences = _ANSI.subn("", text)
        number += sequences
    if name == "half_width_kana" and results:
        text, number = _HALF_VOICED.subn(lambda pair: unicodedata.normalize("NFKC", pair.group()), text)
    for char in results:
        number += text.count(char)
        text = text.replace(char, replacements[char])
    return text, number


def _compose(pairs: re.Pattern[str], text: str) -> tuple[str, int]:
    number = 0

    def compose(match: re.Match[str]) -> str:
        nonlocal number
        composed = unicodedata.normalize("NFC", match.group().translate(_COMBINING))
        if len(composed) > 1:
            return match.group()
        number += 1
        return composed

    return pairs.sub(compose, text), number
