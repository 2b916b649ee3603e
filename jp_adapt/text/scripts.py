"""Which characters are Japanese, by Unicode block.

The blocks are those a Japanese document is set in; Latin letters, Arabic numerals and ASCII punctuation are left out on purpose, because
the tokens built from this test must leave English and code untouched.
"""

from __future__ import annotations

import re
from bisect import bisect_right

# (first, last, script), in code-point order. "punct" is Japanese punctuation, "width" the full- and half-width forms.
BLOCKS: tuple[tuple[int, int, str], ...] = (
    (0x3001, 0x3003, "punct"),  # 、。〃   (U+3000, the ideographic space, is white space: pre-tokenizers split on it)
    (0x3005, 0x3007, "kanji"),  # 々〆〇
    (0x3008, 0x3020, "punct"),  # 〈〉「」『』【】〒〜 …
    (0x3030, 0x3036, "punct"),
    (0x303B, 0x303F, "punct"),
    (0x3041, 0x3096, "hiragana"),
    (0x3099, 0x309C, "kana_mark"),  # combining and spacing (han)dakuten
    (0x309D, 0x309F, "hiragana"),
    (0x30A0, 0x30A0, "punct"),  # ゠
    (0x30A1, 0x30FA, "katakana"),
    (0x30FB, 0x30FB, "punct"),  # ・
    (0x30FC, 0x30FF, "katakana"),  # ー belongs to the word it lengthens
    (0x31F0, 0x31FF, "katakana"),
    (0x3220, 0x3243, "punct"),  # ㈠ ㈱
    (0x3280, 0x32B0, "punct"),
    (0x32D0, 0x33FF, "punct"),  # ㋐ ㌔ ㍻
    (0x3400, 0x4DBF, "kanji"),
    (0x4E00, 0x9FFF, "kanji"),
    (0xF900, 0xFAFF, "kanji"),
    (0xFF01, 0xFF65, "width"),  # full-width ASCII, half-width punctuation
    (0xFF66, 0xFF9F, "katakana"),  # half-width katakana
    (0xFFE0, 0xFFE6, "width"),  # ￥
    (0x20000, 0x3FFFF, "kanji"),
)
_STARTS = [first for first, _, _ in BLOCKS]


def script_of(char: str) -> str | None:
    """Name of the Japanese script of one character ("hiragana", "katakana", "kanji", ...), or None when it is not Japanese."""
    code = ord(char)
    index = bisect_right(_STARTS, code) - 1
    if index < 0:
        return None
    _, last, script = BLOCKS[index]
    return script if code <= last else None


def is_japanese(text: str) -> bool:
    """Whether `text` is not empty and every character of it belongs to a Japanese block."""
    return bool(text) and all(script_of(char) is not None for char in text)


def any_japanese_between(first: int, last: int) -> bool:
    """Whether a Japanese character stands among the code points `first` to `last`."""
    return any(low <= last and first <= high for low, high, _ in BLOCKS)


# The blocks as the inside of a character class of a regular expression.
JAPANESE_CLASS = "".join(f"{chr(first)}-{chr(last)}" for first, last, _ in BLOCKS)
JAPANESE = re.compile(f"[{JAPANESE_CLASS}]")


def _jis_rows(first: int, last: int) -> str:
    """The characters of the rows `first` to `last` of JIS X 0208, in order; cells without a character are left out."""
    cells = (bytes([0xA0 + row, 0xA0 + cell]).decode("euc_jp", errors="ignore") for row in range(first, last + 1) for cell in range(1, 95))
    return "".join(char for char in cells if char and script_of(char) is not None)


# Kana, Japanese punctuation and the 2,965 kanji of JIS level 1 (JIS X 0208, rows 1, 4, 5 and 16 to 47): what everyday Japanese is written with.
EVERYDAY_CHARS = _jis_rows(1, 1) + _jis_rows(4, 5) + _jis_rows(16, 47)
