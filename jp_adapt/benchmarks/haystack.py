"""A needle in a haystack: sentences hidden at known depths of a text of one's own, as long as one likes.

The single needle with a key and a number is that of RULER (Hsieh et al. 2024, arXiv 2404.06654), the grid of lengths and depths that of Kamradt's test
(github.com/gkamradt/LLMTest_NeedleInAHaystack). Lengths are in characters, so that models with other tokenizers read the same texts.
"""

from __future__ import annotations

import random
import re
from typing import Annotated, Any

from pydantic import Field

from jp_adapt.benchmarks.part import Count, Part, Seed

MAX_CHARS = 500_000_000  # of all haystacks together, which are in memory at a time
_ENDS = re.compile("[。！？!?\n」]+")

Depth = Annotated[int, Field(ge=0, le=100)]


class Haystack(Part):
    """Which haystacks are made of the text of the files: one for each length, depth and trial."""

    lengths: list[Count] = Field(min_length=1, description="characters of a haystack, the needle among them")
    depths: list[Depth] = Field(min_length=1, description="where the needle stands, in percent of the haystack; moved to the end of a sentence")
    trials: Annotated[int, Field(ge=1, le=1000)] = Field(
        1, description="haystacks of each length and depth, each of another piece of the text with another needle"
    )
    seed: Seed = Field(0, description="decides pieces and needles")
    needle: str = Field(description="the sentence that is hidden: {key} and {value} stand for a key and a number of seven digits")
    keys: list[str] = Field(min_length=1, description="keys, of which each needle has one")


def haystack_records(text: str, haystack: Haystack) -> list[dict[str, Any]]:
    """Records with `haystack`, `needle`, `key`, `value`, `length`, `depth` (percent) and `trial`. ValueError where the text is too short.

    Which piece and which needle depends on seed, length, depth and trial alone: other lengths beside them change nothing.
    """
    total = sum(haystack.lengths) * len(haystack.depths) * haystack.trials
    if total > MAX_CHARS:
        raise ValueError(f"these haystacks have {total:,} characters together; at most {MAX_CHARS:,} are made")
    cells = ((length, depth, trial) for length in haystack.lengths for depth in haystack.depths for trial in range(haystack.trials))
    return [_record(text, haystack, *cell) for cell in cells]


def _record(text: str, haystack: Haystack, length: int, depth: int, trial: int) -> dict[str, Any]:
    draw = random.Random(f"{haystack.seed}/{length}/{depth}/{trial}")
    key, value = draw.choice(haystack.keys), str(draw.randrange(10**6, 10**7))
    needle = haystack.needle.replace("{key}", key).replace("{value}", value)
    straw = length - len(needle)
    if straw < 0:
        raise ValueError(f"a haystack of {length} characters is shorter than its needle, which has {len(needle)}")
    if straw > len(text):
        raise ValueError(f"a haystack of {length:,} characters needs a text as long; this one has {len(text):,}: add files, or take shorter lengths")
    start = draw.randrange(len(text) - straw + 1)
    piece = text[start : start + straw]
    at = _sentence_end(piece, depth * len(piece) // 100)
    return {
        "haystack": piece[:at] + needle + piece[at:],
        "needle": needle,
        "key": key,
        "value": value,
        "length": length,
        "depth": depth,
        "trial": trial,
    }


def _sentence_end(text: str, at: int) -> int:
    """The first end of a sentence from `at` on; `at` itself at both ends of the text, and where no sentence ends."""
    found = _ENDS.search(text, max(0, at - 1)) if 0 < at < len(text) else None
    return found.end() if found else at
