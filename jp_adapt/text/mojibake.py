"""Mojibake: text decoded with the wrong encoding. It is repaired only if the repair is exact and the result is clearly Japanese; nothing is guessed.

A repair encodes the text with the encoding that was used by mistake and decodes it with the right one, both without replacing anything. What was lost for
good (U+FFFD, or bytes left out) has no way back: `lost_share` says how much of it there is.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from jp_adapt.text.code_points import code_points
from jp_adapt.text.scripts import EVERYDAY_CHARS

# (encoding used by mistake, right encoding). "windows" is CP1252 with its five undefined bytes read as Latin-1 reads them, as browsers do; it covers Latin-1.
WRONG_AND_RIGHT = (
    ("windows", "utf-8"),
    ("cp932", "utf-8"),
    ("euc_jp", "utf-8"),
    ("windows", "cp932"),
    ("windows", "euc_jp"),
    ("cp932", "euc_jp"),
    ("euc_jp", "cp932"),
)
MIN_AFTER = 0.9  # share of everyday Japanese characters, of those outside of ASCII, in a repaired text
MAX_BEFORE = 0.6  # more of them, and a text is read as it is
MIN_KANA = 0.2
TYPICAL = "縺繧繝"  # what the first bytes of kana in UTF-8 become as Shift-JIS; hardly a Japanese text has one of them
_ASCII, _EVERYDAY, _OTHER, _LOST = range(4)
_WINDOWS = {ord(bytes([byte]).decode("cp1252")): byte for byte in range(0x80, 0xA0) if byte not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)}


def everyday_share(text: str) -> float:
    """Share of the non-ASCII characters that are everyday Japanese; 1.0 if there are none."""
    counts = _count(text)
    return float(counts[_EVERYDAY] / counts[1:].sum()) if counts[1:].any() else 1.0


def lost_share(text: str) -> float:
    """Share of the non-ASCII characters that only wrong decoding produces: U+FFFD, C1 controls, private use, and three typical ones."""
    counts = _count(text)
    return float(counts[_LOST] / counts[1:].sum()) if counts[1:].any() else 0.0


def has_marks(text: str) -> bool:
    """Whether a text holds any character that wrong decoding may have made. Without one there is nothing to repair, and nothing is lost."""
    return not text.isascii() and bool(_count(text)[_OTHER:].any())


def lost_number(text: str) -> int:
    """Number of the characters that `lost_share` counts."""
    return int(_count(text)[_LOST])


def repair(text: str) -> tuple[str, int]:
    """The repaired text, as a whole or else line by line, and the number of repairs. Text without mojibake is returned unchanged."""
    if not has_marks(text):
        return text, 0
    whole, repairs = _repaired_twice(text)
    if repairs:
        return whole, repairs
    lines = text.split("\n")
    ends = np.cumsum(np.fromiter(map(len, lines), np.int64) + 1)
    marks = np.flatnonzero(_table()[code_points(text)] >= _OTHER)
    for number in np.unique(np.searchsorted(ends, marks, side="right")).tolist():
        lines[number], more = _repaired_twice(lines[number])
        repairs += more
    return "\n".join(lines), repairs


def _repaired_twice(text: str) -> tuple[str, int]:
    """The text after one repair, or after two if it was decoded wrongly twice, as databases do; and the number of repairs."""
    if everyday_share(text) >= MAX_BEFORE:
        return text, 0
    mended = _repaired(text)
    if mended is not None:
        return mended, 1
    between = _way_back(text, "windows", "utf-8")
    mended = None if between is None else _repaired(between)
    return (text, 0) if mended is None else (mended, 2)


def _repaired(text: str) -> str | None:
    """The best repair; None if no exact repair gives Japanese."""
    best, best_share = None, MIN_AFTER
    for wrong, right in WRONG_AND_RIGHT:
        mended = _way_back(text, wrong, right)
        if mended is None or mended.isascii():
            continue
        share = everyday_share(mended)
        if share > best_share and _kana_share(mended) >= MIN_KANA:
            best, best_share = mended, share
    return best


def _way_back(text: str, wrong: str, right: str) -> str | None:
    try:
        raw = text.translate(_WINDOWS).encode("latin-1") if wrong == "windows" else text.encode(wrong)
        return raw.decode(right)
    except UnicodeError:
        return None


def _kana_share(text: str) -> float:
    wide = [char for char in text[:10_000] if char > "\x7f"]
    return sum("ぁ" <= char <= "ヺ" for char in wide) / len(wide) if wide else 0.0


def _count(text: str) -> npt.NDArray[np.int64]:
    return np.bincount(_table()[code_points(text)], minlength=4).astype(np.int64)


@cache
def _table() -> npt.NDArray[np.uint8]:
    table = np.full(0x110000, _OTHER, dtype=np.uint8)
    table[:0x80] = _ASCII
    table[[ord(char) for char in EVERYDAY_CHARS]] = _EVERYDAY
    for first, last in ((0x2010, 0x203B), (0x2190, 0x21FF), (0x2460, 0x27BF), (0x3000, 0x3030), (0x1F300, 0x1FAFF), (0xFF01, 0xFF5E)):  # signs and full width
        table[first : last + 1] = _EVERYDAY
    table[[0xFFFD, *range(0x80, 0x85), *range(0x86, 0xA0), *range(0xE000, 0xF900), *map(ord, TYPICAL)]] = _LOST
    return table
