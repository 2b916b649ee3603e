"""Language by script and characters, without a model: which of ja, en, zh, ko a document is mostly written in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from jp_adapt.corpus.steps import Outcome
from jp_adapt.text.script_counts import SCRIPTS, count_scripts

MIN_KANA = 0.01  # of the visible characters: code in a Japanese page leaves at least 0.016 (the React documentation), an English page has none
MIN_KANA_AMONG_KANJI = 0.06  # of kana and kanji: Japanese documents have at least 0.33 (tables of terms aside), Chinese ones a の at most
Language = Literal["ja", "en", "zh", "ko", "other"]
_HANGUL = re.compile("[가-힣]")
_SPACE = SCRIPTS.index("space")


def language_of(text: str) -> Language:
    """ "ja", "en", "zh", "ko" or "other"."""
    counts = dict(zip(SCRIPTS, count_scripts(text).tolist(), strict=True))
    visible = max(1, len(text) - counts["space"])
    kana, kanji = counts["hiragana"] + counts["katakana"], counts["kanji"]
    if counts["other"] > 0.2 * visible and len(_HANGUL.findall(text)) > 0.2 * visible:
        return "ko"
    if kana >= MIN_KANA * visible and kana >= MIN_KANA_AMONG_KANJI * (kana + kanji):
        return "ja"
    if kanji > 0.1 * visible:
        return "zh"
    return "en" if counts["latin"] > 0.4 * visible else "other"


@dataclass(frozen=True)
class KeepLanguage:
    """Keeps documents of the named languages."""

    keep: tuple[Language, ...] = ("ja",)
    name: str = field(default="language", init=False)

    def __call__(self, text: str) -> Outcome:
        language = language_of(text)
        return Outcome(text) if language in self.keep else Outcome(None, f"language {language}")
