"""Japanese words and phrases, as UniDic cuts them (fugashi + unidic-lite)."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fugashi import Tagger

# UniDic parts of speech that lean on the word before them: a phrase (bunsetsu) goes on there.
_LEANING = frozenset({"助詞", "助動詞", "接尾辞", "補助記号"})
_PREFIX = "接頭辞"


@cache
def _tagger(options: str) -> Tagger:
    from fugashi import Tagger

    return Tagger(options)


def count_words(text: str) -> int:
    """Number of UniDic short-unit words in `text`: the denominator of fertility (tokens per word)."""
    return sum(len(_tagger("-O wakati").parse(line).split()) for line in text.splitlines() if line.strip())


def words(run: str) -> list[str]:
    """The UniDic short-unit words of a run of text, a leading space with the first of them; joined they are the run."""
    return _with_space(run, str(_tagger("-O wakati").parse(run)).split())


def phrases(run: str) -> list[str]:
    """The phrases (bunsetsu) of a run of text: a content word with the particles, endings and punctuation that lean on it; joined they are the run."""
    parts: list[str] = []
    open_prefix = False
    for node in _tagger("")(run):
        leans = node.feature.pos1 in _LEANING or open_prefix
        if parts and leans:
            parts[-1] += node.surface
        else:
            parts.append(node.surface)
        open_prefix = node.feature.pos1 == _PREFIX
    return _with_space(run, parts)


def _with_space(run: str, parts: list[str]) -> list[str]:
    return [" " + parts[0], *parts[1:]] if parts and run.startswith(" ") else parts
