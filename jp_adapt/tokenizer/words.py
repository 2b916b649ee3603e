"""The words that new tokens are learned from: runs of Japanese characters, each with a leading space where there is one.

A token that holds anything else could change how English or code is cut. The leading space belongs to the word, as it does in every tokenizer of the
Llama family: "を" after a Latin word and a space is one token then ("`foo` を" is how technical Japanese is set), and text without Japanese never
meets it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from jp_adapt.core.errors import InputError
from jp_adapt.text.scripts import JAPANESE_CLASS

_RUN = re.compile(f" ?[{JAPANESE_CLASS}]+")
MAX_WEIGHT = 1000.0  # counts are repeated so often for the trainer
MAX_SOURCES = 64  # counted apart
MAX_RUN_CHARS = 1000  # a longer run is cut: a megabyte without a space teaches nothing that its parts do not


@dataclass
class Corpus:
    """Texts from several sources, read once and kept as counts. Each line counts once, however often it occurs in the corpus.

    Repeated lines are menus, licences and other boilerplate; counting them would spend tokens on phrases that occur in one place only.
    """

    names: list[str] = field(default_factory=list)
    documents: list[int] = field(default_factory=list)
    chars: list[int] = field(default_factory=list)
    repeated_lines: list[int] = field(default_factory=list)
    runs: list[Counter[str]] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    _seen: set[int] = field(default_factory=set)

    def add(self, name: str, texts: Iterable[str], weight: float = 1.0) -> None:
        """Count one source; `weight` (above 0, up to `MAX_WEIGHT`) multiplies its counts. InputError for another weight."""
        if not 0 < weight <= MAX_WEIGHT:
            raise InputError(f"the weight of corpus '{name}' is {weight:g}; it must be above 0 and at most {MAX_WEIGHT:g}")
        counts: Counter[str] = Counter()
        documents = chars = repeated = 0
        for text in texts:
            documents += 1
            chars += len(text)
            for line in text.splitlines():
                key = hash(line)
                if key in self._seen:
                    repeated += 1
                    continue
                self._seen.add(key)
                counts.update(_RUN.findall(line))
        self.names.append(name)
        self.documents.append(documents)
        self.chars.append(chars)
        self.repeated_lines.append(repeated)
        self.runs.append(counts)
        self.weights.append(weight)


@dataclass(frozen=True)
class Words:
    """Distinct words (pre-tokens in vocabulary form) and how often each source has them."""

    texts: list[str]
    source: NDArray[np.int64]  # [E] source of each entry
    word: NDArray[np.int64]  # [E] word of each entry
    count: NDArray[np.float64]  # [E] how often it stands there
    weight: NDArray[np.float64]  # [sources] what multiplies the counts of each source

    @property
    def totals(self) -> NDArray[np.float64]:
        """[len(texts)] weighted count of each word over all sources."""
        return np.bincount(self.word, weights=self.count * self.weight[self.source], minlength=len(self.texts)).astype(np.float64)

    @property
    def groups(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Of each entry [E], where it is counted and how often; and [S] the weight of each such place. It is the source of the entry, or, where there are more
        than MAX_SOURCES, one of so many groups of sources, whose counts are weighted."""
        if len(self.weight) <= MAX_SOURCES:
            return self.source, self.count, self.weight
        return self.source % MAX_SOURCES, self.count * self.weight[self.source], np.ones(MAX_SOURCES)


def count_words(corpus: Corpus, pre_tokens: Callable[[str], list[str]], cut: Callable[[str], list[str]] | None = None) -> Words:
    """The words of `corpus`: its runs, cut at the boundaries of `cut` (phrases, words) and then into pre-tokens."""
    index: dict[str, int] = {}
    sources: list[int] = []
    words: list[int] = []
    counts: list[int] = []
    for source, runs in enumerate(corpus.runs):
        here: dict[int, int] = {}
        for run, count in runs.items():
            for start in range(0, len(run), MAX_RUN_CHARS):
                part = run[start : start + MAX_RUN_CHARS]
                for piece in cut(part) if cut else (part,):
                    for word in pre_tokens(piece):
                        number = index.setdefault(word, len(index))
                        here[number] = here.get(number, 0) + count
        sources += [source] * len(here)
        words += here.keys()
        counts += here.values()
    weights = np.array(corpus.weights, np.float64)
    return Words(list(index), np.array(sources, np.int64), np.array(words, np.int64), np.array(counts, np.float64), weights)
