"""Language by script and characters, without a model: which of ja, en, zh, ko a document is mostly written in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from jp_adapt.corpus.steps import Outcome
from jp_adapt.text.code_points import code_points
from jp_adapt.text.hanzi import SHINJITAI, SIMPLIFIED, TRADITIONAL
from jp_adapt.text.script_counts import SCRIPTS, script_table

MIN_KANA = 0.01  # of the visible characters: code in a Japanese page leaves at least 0.016 (the React documentation), an English page has none
MIN_KANA_AMONG_KANJI = 0.06  # of kana and kanji: Japanese documents have at least 0.33 (tables of terms aside)
MIN_CHINESE_AMONG_KANJI = 0.04  # Chinese text has at least 0.15 (`jp_adapt.text.hanzi`), Japanese 0.001
MIN_TRADITIONAL = 3  # different ones; fewer are a rare word of Japanese (輻輳)
# How much text of its language a character stands for: one of five in Chinese; in Japanese every other is hiragana, one kanji of ten such a one.
CHINESE_WEIGHT, SHINJITAI_WEIGHT, HIRAGANA_WEIGHT, KATAKANA_WEIGHT = 5, 5, 1, 0.5
TITLE = re.compile("《(?![ぁ-ゖー]*》)[^《》\n]{1,60}》")  # hiragana alone is a reading, as Aozora Bunko writes it: 山路《やまみち》
Language = Literal["ja", "en", "zh", "ko", "other"]
CLASSES = (*SCRIPTS, "simplified", "traditional", "shinjitai", "hangul")


@cache
def _table() -> npt.NDArray[np.uint8]:
    """Class of every code point, as an index into CLASSES."""
    table: npt.NDArray[np.uint8] = np.array(script_table())
    for name, chars in (("simplified", SIMPLIFIED), ("traditional", TRADITIONAL - SIMPLIFIED), ("shinjitai", SHINJITAI - TRADITIONAL)):
        table[[ord(char) for char in chars]] = CLASSES.index(name)
    table[0xAC00:0xD7A4] = CLASSES.index("hangul")
    return table


def _counts(text: str) -> dict[str, int]:
    """Characters of each class of CLASSES."""
    return dict(zip(CLASSES, np.bincount(_table()[code_points(text)], minlength=len(CLASSES)).tolist(), strict=True))


def _without_titles(text: str) -> str:
    """The text without its titles in 《》, if only they contain kana and the rest is kanji: this is how Chinese names a Japanese work."""
    rest = TITLE.sub("", text) if "《" in text else text
    if rest == text:
        return text
    counts = _counts(rest)
    has_kanji = sum(counts[name] for name in ("kanji", "shinjitai", "simplified", "traditional")) > 1
    return rest if has_kanji and not counts["hiragana"] + counts["katakana"] else text


def language_of(text: str) -> Language:
    """ "ja", "en", "zh", "ko" or "other"."""
    text = _without_titles(text)
    counts = _counts(text)
    visible = max(1, len(text) - counts["space"])
    kana, chinese = counts["hiragana"] + counts["katakana"], counts["simplified"] + counts["traditional"]
    kanji = counts["kanji"] + counts["shinjitai"] + chinese
    if counts["hangul"] > 0.2 * visible:
        return "ko"
    japanese = SHINJITAI_WEIGHT * counts["shinjitai"] + HIRAGANA_WEIGHT * counts["hiragana"] + KATAKANA_WEIGHT * counts["katakana"]
    is_chinese = chinese > 0 and chinese >= MIN_CHINESE_AMONG_KANJI * kanji and CHINESE_WEIGHT * chinese > japanese
    is_chinese = is_chinese and (counts["simplified"] > 0 or len(TRADITIONAL.intersection(text)) >= MIN_TRADITIONAL)
    if not is_chinese and kana >= MIN_KANA * visible and kana >= MIN_KANA_AMONG_KANJI * (kana + kanji):
        return "ja"
    if kanji > 0.1 * visible:
        return "ja" if not is_chinese and japanese > CHINESE_WEIGHT * chinese else "zh"
    return "en" if counts["latin"] > 0.4 * visible else "other"


@dataclass(frozen=True)
class KeepLanguage:
    """Keeps documents of the named languages.

    Attributes:
        keep: languages of the documents that stay.
    """

    keep: tuple[Language, ...] = ("ja",)
    name: str = field(default="language", init=False)

    def __call__(self, text: str) -> Outcome:
        language = language_of(text)
        return Outcome(text) if language in self.keep else Outcome(None, f"language {language}")
