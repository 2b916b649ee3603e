"""Japanese words, as UniDic cuts them (fugashi + unidic-lite)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fugashi import Tagger


@cache
def _tagger() -> Tagger:
    from fugashi import Tagger

    return Tagger("-O wakati")


def count_words(text: str) -> int:
    """Number of UniDic short-unit words in `text`: the denominator of fertility (tokens per word)."""
    return sum(len(_tagger().parse(line).split()) for line in text.splitlines() if line.strip())
