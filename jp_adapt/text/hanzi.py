"""Kanji that distinguish Chinese from Japanese: those that the character sets of one language have and those of the other lack. No hand-made list, no model.

Of the kanji of Chinese manual pages 26 % are SIMPLIFIED (zh_CN) and 15 % TRADITIONAL (zh_TW); of those of 11 million characters of Japanese documentation
less than 0.1 % are either, and 9 to 12 % are SHINJITAI, of which Chinese text has next to none.
"""

from __future__ import annotations

from jp_adapt.text.scripts import EVERYDAY_CHARS


def _two_byte_chars(codec: str, first: int, last: int) -> frozenset[str]:
    """The kanji among the codes of two bytes from `first` to `last`."""
    chars = (code.to_bytes(2, "big").decode(codec, errors="ignore") for code in range(first, last + 1))
    return frozenset(char for char in chars if len(char) == 1 and "\u4e00" <= char <= "\u9fff")


_GB2312 = _two_byte_chars("gb2312", 0xB0A1, 0xF7FE)  # GB/T 2312-1980: simplified Chinese
_BIG5 = _two_byte_chars("big5", 0xA440, 0xF9FE)
_BIG5_FREQUENT = _two_byte_chars("big5", 0xA440, 0xC67E)  # level 1, the frequent characters of traditional Chinese
_JIS = _two_byte_chars("euc_jp", 0xB0A1, 0xF4FE)  # JIS X 0208, levels 1 and 2
_WINDOWS = _JIS | _two_byte_chars("cp932", 0xED40, 0xFC4B)  # with what NEC and IBM added: 髙

SIMPLIFIED = _GB2312 - _WINDOWS  # 这 发 记 饭 们 你
TRADITIONAL = _BIG5_FREQUENT - frozenset(EVERYDAY_CHARS)  # 這 們 學 國 廳; a few rare Japanese ones, too (曖, 璧): one alone says nothing
SHINJITAI = _JIS - _GB2312 - _BIG5  # 悪 応 発 経 図, and characters made in Japan: 込 働 畑
