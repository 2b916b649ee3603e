"""The scores of pfgen-bench: how a free answer of some 100 characters reads, by what it shares with a thousand references and which keywords it names.

Imos et al. 2025 (arXiv 2502.09316); pfnet-research/pfgen-bench at 03db7c4, pfgen_eval.py. The first 100 characters count in full, and what comes later less and
less, nothing from the 150th on. References come in up to four styles; a score is the mean over them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

LONGEST_SHARED = 10  # characters of an n-gram
TRUTH_GRAM = 3  # characters of the n-grams that make a character true
FULL_CHARS, FADING_CHARS = 100, 50
READ_CHARS = 200  # of an answer
COMMON = 1 / 200  # share of the references that have an n-gram, from which its characters are wholly true
MARKS = frozenset("^$、。・「」『』（）【】［］〈〉《》")  # neither true nor false
NOWHERE = 9999  # where a keyword that is not there ends


def pfgen_score(answer: str, asked: Mapping[str, Any]) -> float:
    """Mean of fluency, truthfulness and helpfulness."""
    return (pfgen_fluency(answer, asked) + pfgen_truthfulness(answer, asked) + pfgen_helpfulness(answer, asked)) / 3


def pfgen_fluency(answer: str, asked: Mapping[str, Any]) -> float:
    """How much of the references' n-grams the answer has, 1 being a reference's mean; above it for an answer that is more usual than they are."""
    styles = _styles(asked)
    return sum(style.fluency(answer) for style in styles) / len(styles)


def pfgen_truthfulness(answer: str, asked: Mapping[str, Any]) -> float:
    """Share of the answer's characters that stand in a trigram of the references."""
    styles = _styles(asked)
    return sum(style.truthfulness(answer) for style in styles) / len(styles)


def pfgen_helpfulness(answer: str, asked: Mapping[str, Any]) -> float:
    """1 where the beginning of the answer, of the length that is best for it, names all keywords; a missing one takes its importance away, by default all."""
    text = answer[:READ_CHARS]
    scores = [score for length in range(len(text) + 1) if (score := _weight(length)) >= 0]
    for keyword in asked["keywords"]:
        end, rest = _end(text, keyword), 1 - keyword.get("importance", 1.0)
        for length in range(min(len(scores), end)):
            scores[length] *= rest
    return float(max(scores))


def _weight(chars: int) -> float:
    return 1 - max(chars - FULL_CHARS, 0) / FADING_CHARS


def _end(text: str, keyword: Mapping[str, Any]) -> int:
    """Where a keyword ends: a pattern (`t`), all of several (`and`), or the first of them (`or`)."""
    if "t" in keyword:
        found = re.search(keyword["t"], text)
        return found.end() if found else NOWHERE
    choose, parts = (max, keyword["and"]) if "and" in keyword else (min, keyword["or"])
    return choose(_end(text, part) for part in parts)


def _styles(asked: Mapping[str, Any]) -> list[_Style]:
    return [_style(tuple(texts)) for texts in asked["references"].values()]


@lru_cache(maxsize=4)  # those of one question: its metrics and answers follow each other
def _style(references: tuple[str, ...]) -> _Style:
    return _Style.of(references)


@dataclass(frozen=True)
class _Style:
    """What the references of one style share: how many of them have an n-gram, and the mean of what each has."""

    counts: Mapping[str, int]
    baseline: float
    references: int

    @classmethod
    def of(cls, references: Sequence[str]) -> _Style:
        grams = [{text[end - size : end] for end in range(1, len(text) + 1) for size in range(1, min(LONGEST_SHARED, end) + 1)} for text in references]
        counts: Counter[str] = Counter()
        for own in grams:
            counts.update(own)
        raw = cls(counts, 1.0, len(references))
        whole = [sum(map(counts.__getitem__, own)) if len(text) <= FULL_CHARS else raw.fluency(text) for text, own in zip(references, grams, strict=True)]
        return cls(counts, sum(whole) / len(references), len(references))

    def fluency(self, answer: str) -> float:
        """The best over the beginnings of the answer: what their n-grams count, each once, by the weight of their length."""
        seen: set[str] = set()
        total, best = 0, 0.0
        for end in range(1, min(len(answer), READ_CHARS) + 1):
            new = {answer[end - size : end] for size in range(1, min(LONGEST_SHARED, end) + 1)} - seen
            seen |= new
            total += sum(self.counts.get(gram, 0) for gram in new)
            best = max(best, total * _weight(end) / self.baseline)
        return best

    def truthfulness(self, answer: str) -> float:
        """The share of true characters of the whole answer, or of a beginning of 100 characters and more, by the weight of its length."""
        text = f"^{answer}$"[: READ_CHARS + 2]  # as there, where the marks of beginning and end have places, too
        held = [0] * len(text)
        for start in range(len(text) - TRUTH_GRAM + 1):
            count = self.counts.get(text[start : start + TRUTH_GRAM], 0)
            for place in range(start, start + TRUTH_GRAM):
                held[place] = max(held[place], count)
        true, chars, score, best = 0.0, 0, 0.0, 0.0
        for place, (char, count) in enumerate(zip(text, held, strict=True)):
            if char in MARKS:
                continue
            true += min(1.0, count / self.references / COMMON)
            chars += 1
            score = true / chars * _weight(place)
            if place >= FULL_CHARS:
                best = max(best, score)
        return max(best, score)
