"""Japanese quality heuristics, as Swallow (2404.17733) and HojiChar use them, with defaults that let good technical documentation through.

Their own defaults (Swallow: hiragana at least 0.2, mean sentence 20 to 90 characters; HojiChar: 200 to 50,000 characters) are meant for web pages; they drop
every third document of a reference manual. docs/corpus.md has the table.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from jp_adapt.corpus.steps import Outcome
from jp_adapt.text.code_points import code_points
from jp_adapt.text.script_counts import SCRIPTS, count_scripts
from jp_adapt.text.spam import SPAM_WORDS

_UNFINISHED = ("…", "・・・", "...", "続きを読む", "もっと見る")
_ELLIPSIS = re.compile(r"(?:…|・・・|(?<=[ぁ-ん])\.\.\.|続きを読む|もっと見る)[\s）)」』】]*$", re.MULTILINE)
_STOP = re.compile(r"[。．！？!?\n]+")
_SPAM = re.compile("|".join(sorted(map(re.escape, SPAM_WORDS), key=len, reverse=True)))
NGRAM = 10
SAMPLED = 3  # of most texts every third n-gram shows more different ones than are needed: only the others are counted whole
LIST_CHARS = 300  # kana and kanji; shorter texts without hiragana are captions and tables of a manual


@dataclass(frozen=True)
class Quality:
    """Drops a document that misses a bound; None switches a bound off.

    Attributes:
        min_chars: characters of a document, at least.
        max_chars: characters of a document, at most.
        min_hiragana: of kana and kanji. Lists of goods and of keywords have next to none.
        max_repeated: share of the 10-grams that stood in the text before.
        max_repeated_lines: share of the lines (in characters) that stood before.
        max_unfinished: share of the lines that end in "…": lists of teasers.
        max_sentence: characters of a sentence, on average, as long as there is a line end or a full stop.
        max_spam: words of `jp_adapt.text.spam` per 100 characters, where at least 4 different ones stand.
        banned: words, one of which is enough.
    """

    min_chars: int | None = 20
    max_chars: int | None = None
    min_hiragana: float | None = 0.08
    max_repeated: float | None = 0.8
    max_repeated_lines: float | None = 0.75
    max_unfinished: float | None = 0.4
    max_sentence: float | None = 1500
    max_spam: float | None = 1.5
    banned: tuple[str, ...] = ()
    name: str = field(default="quality", init=False)
    _banned: re.Pattern[str] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_banned", re.compile("|".join(map(re.escape, self.banned))) if self.banned else None)

    def __call__(self, text: str) -> Outcome:
        reason = self._length(text) or self._words(text) or self._script(text) or self._lines(text) or self._repetition(text)
        return Outcome(None, reason) if reason else Outcome(text)

    def _length(self, text: str) -> str:
        if self.min_chars is not None and len(text) < self.min_chars:
            return "too short"
        return "too long" if self.max_chars is not None and len(text) > self.max_chars else ""

    def _words(self, text: str) -> str:
        if self._banned is not None and self._banned.search(text):
            return "banned word"
        if self.max_spam is not None:
            results = _SPAM.findall(text)
            if len(results) * 100 > self.max_spam * len(text) and len(set(results)) >= 4:
                return "spam words"
        return ""

    def _script(self, text: str) -> str:
        if self.min_hiragana is None:
            return ""
        counts = count_scripts(text)
        hiragana, katakana, kanji = (int(counts[SCRIPTS.index(script)]) for script in ("hiragana", "katakana", "kanji"))
        japanese = hiragana + katakana + kanji
        return "hardly any hiragana" if japanese >= LIST_CHARS and hiragana < self.min_hiragana * japanese else ""

    def _lines(self, text: str) -> str:
        lines = [line for line in text.split("\n") if line.strip()]
        if self.max_unfinished is not None and len(lines) >= 5:
            most = self.max_unfinished * len(lines)
            if sum(map(text.count, _UNFINISHED)) > most and len(_ELLIPSIS.findall(text)) > most:
                return "unfinished lines"
        if self.max_repeated_lines is not None and len(lines) >= 5:
            repeated = sum(len(line) * (number - 1) for line, number in Counter(lines).items())
            if repeated > self.max_repeated_lines * sum(map(len, lines)):
                return "repeated lines"
        if self.max_sentence is not None and len(text) > self.max_sentence:
            sentences = len(_STOP.findall(text)) + 1
            if len(text) > self.max_sentence * sentences:
                return "sentences too long"
        return ""

    def _repetition(self, text: str) -> str:
        if self.max_repeated is None or len(text) < 10 * NGRAM:
            return ""
        codes = code_points(text).astype(np.uint64)
        count = len(codes) - NGRAM + 1
        for every in (SAMPLED, 1):
            if (count - _different(codes, count, every)) / (count - 1) <= self.max_repeated:
                return ""
        return "repeated n-grams"


def _different(codes: npt.NDArray[np.uint64], count: int, every: int) -> int:
    """How many different n-grams begin at every `every`-th of the first `count` places."""
    hashes = np.zeros(-(-count // every), np.uint64)
    for offset in range(NGRAM):
        hashes = hashes * np.uint64(0x9E3779B97F4A7C15) + codes[offset : offset + count : every]
    hashes.sort()
    return 1 + int(np.count_nonzero(hashes[1:] != hashes[:-1]))
