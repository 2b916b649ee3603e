"""Strings at which tokenizers go apart: a seeded generator of hostile texts, for the gate of a build and for measurements.

Controls, combining marks, joiners, the ideographic space, spaces before digits and at the beginning, special tokens' texts, beginnings of chats.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import lru_cache

SPECIAL = ("<s>", "</s>", "<unk>", "<|begin_of_text|>", "<|eot_id|>", "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<0xE3>", "[INST]")
RANGES = {
    "hiragana": [(0x3041, 0x3096)],
    "katakana": [(0x30A1, 0x30FC)],
    "kanji": [(0x4E00, 0x9FFF)],
    "rare kanji": [(0x3400, 0x4DBF), (0xF900, 0xFAFF)],
    "Ext-B kanji": [(0x20000, 0x2A6DF)],
    "punctuation": [(0x3000, 0x303F)],
    "width forms": [(0xFF01, 0xFF65), (0xFFE0, 0xFFE6)],
    "half-width kana": [(0xFF66, 0xFF9F)],
    "combining": [(0x0300, 0x036F), (0x3099, 0x309A), (0xFE00, 0xFE0F), (0xE0100, 0xE01EF)],
    "Latin": [(0x41, 0x5A), (0x61, 0x7A), (0xC0, 0x24F)],
    "ASCII": [(0x20, 0x7E)],
    "digits": [(0x30, 0x39)],
    "controls": [(0x00, 0x1F), (0x7F, 0x9F)],
    "emoji": [(0x1F300, 0x1FAFF), (0x1F1E6, 0x1F1FF), (0x1F3FB, 0x1F3FF), (0x200D, 0x200D), (0x2600, 0x27BF)],
    "other scripts": [(0x400, 0x52F), (0x590, 0x6FF), (0xE00, 0xE7F), (0xAC00, 0xD7A3), (0x1000, 0x109F)],
    "anything": [(0x00, 0xD7FF), (0xE000, 0x10FFFF)],
}
FIXED = (
    " ",
    "  ",
    "    ",
    "\t",
    "\n",
    "\r\n",
    "\r",
    "▁",
    "▁▁",
    "\u3000",
    "\u00a0",
    "\u200b",
    "\ufeff",
    "\ufffd",
    "か\u3099",
    "は\u309a",
    "ﾊﾟ",
    "ｶﾞ",
    "👨‍👩‍👧",
    "です。",
    "ー",
    "〜",
    "～",
    "  12",
    "\t\t5",
    " [INST] ",
    "\nUser: ",
)


def fuzz_strings(number: int, special: Sequence[str] = SPECIAL, seed: int = 0) -> list[str]:
    """`number` distinct strings of up to 12 pieces, each a few characters of one kind, a hostile sequence, or the text of one of the `special` tokens."""
    return list(_drawn(number, tuple(special), seed))


@lru_cache(maxsize=16)
def _drawn(number: int, special: tuple[str, ...], seed: int) -> tuple[str, ...]:
    rng = random.Random(seed)
    kinds = list(RANGES.values())
    strings: dict[str, None] = {}
    while len(strings) < number:
        parts = []
        for _ in range(rng.randint(1, 12)):
            draw = rng.random()
            if draw < 0.2:
                parts.append(rng.choice(FIXED))
            elif draw < 0.24 and special:
                parts.append(rng.choice(special))
            else:
                kind = rng.choice(kinds)
                parts += [chr(rng.randint(*rng.choice(kind))) for _ in range(rng.randint(1, 5))]
        strings["".join(parts)] = None
    return tuple(strings)
