"""Words as rows of units that are merged pair by pair, with the places of every pair at hand: what byte-pair encoding counts and changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Places = NDArray[np.int32]
END = -1  # between words, and in place of what no token may hold
MERGED = -2  # the right half of a pair that was merged
NOWHERE = np.zeros(0, np.int32)
SHIFT = 32  # a pair is one number: its left unit times 2**32, plus its right unit


def pair_of(left: int, right: int) -> int:
    return left << SHIFT | right


def halves(pair: int) -> tuple[int, int]:
    return pair >> SHIFT, pair & ((1 << SHIFT) - 1)


@dataclass(frozen=True)
class Found:
    """Distinct pairs of neighbours, as numbers, and `uses` [pairs, S], how often each occurs in each source."""

    pairs: list[int]
    uses: NDArray[np.float64]


class Units:
    """The units of all words in one array, linked to their neighbours.

    A pair gets its list of places when its later half is made, and only loses places from then on: those that are gone are left out when it is counted.
    """

    def __init__(self, words: Sequence[Sequence[int]], counts: NDArray[np.float64]) -> None:
        """`words`: units of each word, END for what cannot merge. `counts` [W, S]: how often each source has each word."""
        lengths = np.fromiter(map(len, words), np.int64, len(words)) + 1  # with the END of each
        self.unit = np.full(int(lengths.sum()) + 1, END, np.int32)  # one END before the first word
        self.word = np.zeros(len(self.unit), np.int32)
        self.word[1:] = np.repeat(np.arange(len(words), dtype=np.int32), lengths)
        inside = np.ones(len(self.unit), bool)
        inside[np.concatenate([[0], np.cumsum(lengths)])] = False
        self.unit[inside] = np.fromiter((unit for word in words for unit in word), np.int32, int(inside.sum()))
        self.next = np.arange(1, len(self.unit) + 1, dtype=np.int32)
        self.previous = np.arange(-1, len(self.unit) - 1, dtype=np.int32)
        self.counts = counts
        self.places: dict[int, Places] = {}

    def all_pairs(self) -> Found:
        """Every pair of neighbours, before the first merge."""
        left = np.flatnonzero((self.unit[:-1] >= 0) & (self.unit[1:] >= 0)).astype(np.int32)
        return self._index(left, self.unit[left].astype(np.int64) << SHIFT | self.unit[left + 1])

    def uses_of(self, pair: int) -> NDArray[np.float64]:
        """[S] how often a pair occurs now."""
        if pair not in self.places:
            return np.zeros(self.counts.shape[1])
        uses: NDArray[np.float64] = self.counts[self.word[self._valid(pair)]].sum(axis=0)
        return uses

    def unit_uses(self, units: Sequence[int]) -> NDArray[np.float64]:
        """[units, S] how often each of some units occurs now."""
        columns = np.full(1 + max(units, default=0), -1)
        columns[list(units)] = np.arange(len(units))
        standing = np.flatnonzero((self.unit >= 0) & (self.unit < len(columns)))
        standing = standing[columns[self.unit[standing]] >= 0]
        rows, words = columns[self.unit[standing]], self.word[standing]
        return np.stack([np.bincount(rows, weights=column[words], minlength=len(units)) for column in self.counts.T], axis=1)

    def merge(self, pair: int, unit: int) -> Found:
        """Replace every occurrence of `pair` by `unit`, from left to right, and return the pairs that this created."""
        left = self._valid(pair)
        self.places.pop(pair, None)
        if pair >> SHIFT == halves(pair)[1]:
            left = self._apart(left)
        right = self.next[left]
        after = self.next[right]
        self.unit[left] = unit
        self.unit[right] = MERGED
        self.next[left] = after
        self.previous[after] = left
        before = self.previous[left]
        opens = before[(self.unit[before] >= 0) & (self.unit[before] != unit)]
        closes = left[self.unit[after] >= 0]
        pairs = np.concatenate([self.unit[opens].astype(np.int64) << SHIFT | unit, self.unit[self.next[closes]].astype(np.int64) | unit << SHIFT])
        return self._index(np.concatenate([opens, closes]), pairs)

    def _valid(self, pair: int) -> Places:
        left, right = halves(pair)
        places = self.places.get(pair, NOWHERE)
        places = places[self.unit[places] == left]
        self.places[pair] = places[self.unit[self.next[places]] == right]
        return self.places[pair]

    def _apart(self, places: Places) -> Places:
        """Of places of a pair of equals (ああああ), those that a merge from the left takes: every second one of a run."""
        if not len(places):
            return places
        follows = np.concatenate([[False], places[1:] == self.next[places[:-1]]])
        index = np.arange(len(places))
        first = np.maximum.accumulate(np.where(follows, 0, index))
        apart: Places = places[(index - first) % 2 == 0]
        return apart

    def _index(self, left: Places, pairs: Ints) -> Found:
        """Keep the places of each pair in the order of the text, which `left` has for each of them."""
        order = np.argsort(pairs, kind="stable")
        left, pairs = left[order], pairs[order]
        starts = np.flatnonzero(np.diff(pairs, prepend=-1))
        numbers, ends = pairs[starts].tolist(), [*starts[1:].tolist(), len(pairs)]
        for pair, start, end in zip(numbers, starts.tolist(), ends, strict=True) if numbers else ():
            self.places[pair] = left[start:end]
        words = self.word[left]
        columns = [np.add.reduceat(column[words], starts) if numbers else np.zeros(0) for column in self.counts.T]
        return Found(numbers, np.stack(columns, axis=1))
