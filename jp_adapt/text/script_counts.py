"""How many characters of a text belong to which script, counted for whole texts at a time."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from jp_adapt.text.code_points import code_points
from jp_adapt.text.scripts import BLOCKS

SCRIPTS = ("hiragana", "katakana", "kanji", "punct", "width", "kana_mark", "latin", "digit", "space", "other")


@cache
def script_table() -> npt.NDArray[np.uint8]:
    """Script of every code point, as an index into SCRIPTS."""
    table = np.full(0x110000, SCRIPTS.index("other"), dtype=np.uint8)
    for code in range(0x3100):
        char = chr(code)
        if char.isspace():
            table[code] = SCRIPTS.index("space")
        elif code < 0x250 and char.isalpha():
            table[code] = SCRIPTS.index("latin")
        elif "0" <= char <= "9":
            table[code] = SCRIPTS.index("digit")
    for first, last, script in BLOCKS:
        table[first : last + 1] = SCRIPTS.index(script)
    return table


def count_scripts(text: str) -> npt.NDArray[np.int64]:
    """[len(SCRIPTS)] characters of each script of SCRIPTS."""
    return np.bincount(script_table()[code_points(text)], minlength=len(SCRIPTS)).astype(np.int64)
