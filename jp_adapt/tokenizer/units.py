"""Words as rows of units that are merged pair by pair, with the places of every pair at hand: what byte-pair encoding counts and changes.

A pair gets all its places when its later half is made, and only loses places from then on. So each merge sorts the places of the pairs that it creates
into an index of its own, a pair looks its places up in that of its later half, and what is gone is left out when it is counted. No pair costs anything
until somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]  # also of places: numpy looks up elements by other integers at half the speed
Table = NDArray[np.int32]
Sums = NDArray[np.float64]
END = -1  # between words
MERGED = -2  # the right half of a pair that was merged
ABSENT = -3  # inside a word, where no token may stand
NOWHERE = np.zeros(0, np.int64)
SHIFT = 32  # a pair is one number: its left unit times 2**32, plus its right unit
LOW = (1 << SHIFT) - 1


def pair_of(left: int, right: int) -> int:
    return left << SHIFT | right


def halves(pair: int) -> tuple[int, int]:
    return pair >> SHIFT, pair & LOW


@dataclass(frozen=True)
class Pairs:
    """Distinct pairs of neighbours, as numbers: those of `numbers[k]` stand at `places[starts[k]:starts[k + 1]]`. `keys`, sorted, is what they are found by."""

    numbers: Ints
    keys: Ints
    starts: Ints
    places: Ints

    def find(self, key: int) -> Ints:
        row = int(self.keys.searchsorted(key))
        return self.places[self.starts[row] : self.starts[row + 1]] if row < len(self.keys) and self.keys[row] == key else NOWHERE


class Units:
    """The units of all words in one array, linked to their neighbours. A place is an index of that array; a pair stands where its left half does."""

    def __init__(self, symbols: Table, lengths: Ints) -> None:
        """`symbols`: the units of all words, one word after the other, ABSENT for what cannot merge. `lengths` [W]: how many each word has."""
        inside = np.ones(len(symbols) + len(lengths) + 1, bool)  # an END before each word, and one after the last
        inside[np.append(0, np.cumsum(lengths + 1))] = False
        self.unit = np.full(len(inside), END, np.int32)
        self.unit[inside] = symbols
        self.next = np.arange(1, len(inside) + 1)
        self.previous = np.arange(-1, len(inside) - 1)
        places = np.flatnonzero((self.unit[:-1] >= 0) & (self.unit[1:] >= 0))
        places = _in_order(self.unit[places + 1], places)
        places = _in_order(self.unit[places], places)
        keys = self.unit[places].astype(np.int64) << SHIFT | self.unit[places + 1]
        keys, starts = _groups(keys)
        self.first = Pairs(keys, keys, starts, places)
        self._made: dict[int, tuple[int, Pairs]] = {}  # of each unit that a merge made: when, and its pairs then, by neighbour
        self._asked: dict[int, Ints] = {}  # places of pairs that were asked for

    def merge(self, pair: int, unit: int) -> Pairs:
        """Replace every occurrence of `pair` by `unit`, from left to right, and return the pairs that this created. A unit is made of one pair only."""
        left = self.places(pair)
        self._asked.pop(pair)
        if pair >> SHIFT == pair & LOW:
            left = self._apart(np.sort(left))
        right = self.next[left]
        after = self.next[right]
        self.unit[left] = unit
        self.unit[right] = MERGED
        self.next[left] = after
        self.previous[after] = left
        before = self.previous[left]
        opening, closing = self.unit[before], self.unit[after]
        ordered = np.concatenate([opening.astype(np.int64) << SHIFT + 1 | before, (closing.astype(np.int64) << 1 | 1) << SHIFT | left])
        ordered = ordered.compress(np.concatenate([(opening >= 0) & (opening != unit), closing >= 0]))
        ordered.sort()
        keys, starts = _groups(ordered >> SHIFT)
        neighbours = keys >> 1
        created = Pairs(np.where(keys & 1, unit << SHIFT | neighbours, neighbours << SHIFT | unit), keys, starts, ordered & LOW)
        self._made[unit] = len(self._made) + 1, created
        return created

    def places(self, pair: int) -> Ints:
        """Where a pair stands now."""
        left, right = halves(pair)
        places = self._asked.get(pair)
        if places is None:
            places = self._created(left, right)
        places = places.compress(self.unit.take(places) == left)
        self._asked[pair] = places = places.compress(self.unit.take(self.next.take(places)) == right)
        return places

    def words(self) -> tuple[Table, Ints]:
        """All words as they stand: their units one after the other, and [W] how many each has."""
        standing = self.unit[self.unit != MERGED]
        ends = np.flatnonzero(standing == END)
        return standing[standing != END], np.diff(ends) - 1

    def _created(self, left: int, right: int) -> Ints:
        """The places that a pair had when the later of its halves was made."""
        (left_made, after_left), (right_made, before_right) = self._made.get(left, (0, self.first)), self._made.get(right, (0, self.first))
        if left_made == right_made == 0:
            return self.first.find(pair_of(left, right))
        return after_left.find(right << 1 | 1) if left_made >= right_made else before_right.find(left << 1)

    def _apart(self, places: Ints) -> Ints:
        """Of places of a pair of equals (ああああ), those that a merge from the left takes: every second one of a run."""
        if not len(places):
            return places
        follows = np.concatenate([[False], places[1:] == self.next[places[:-1]]])
        index = np.arange(len(places))
        first = np.maximum.accumulate(np.where(follows, 0, index))
        apart: Ints = places[(index - first) % 2 == 0]
        return apart


class Uses:
    """How often each source has each word, for sums over places."""

    def __init__(self, lengths: Ints, source: Ints, count: Sums, weight: Sums) -> None:
        """Of each word [W]: how many units it had at first, the source that has it, and how often it does. `weight` [S]: what multiplies the counts of a
        source, once they are summed: the order of the words changes nothing then, to the last bit."""
        self.word = np.repeat(np.arange(len(lengths) + 1), np.append(lengths + 1, 1))  # of each place, as in `Units`; the ends' are never asked for
        self.source, self.count, self.weight = source, count, weight

    def at(self, places: Ints) -> Sums:
        """[S] uses at some places."""
        words = self.word.take(places)
        return sums(self.source.take(words), self.count.take(words), len(self.weight)) * self.weight

    def by_pair(self, pairs: Pairs) -> Sums:
        """[pairs, S] uses of each."""
        rows = np.repeat(np.arange(len(pairs.numbers)), np.diff(pairs.starts))
        return self._by_row(rows, pairs.places, len(pairs.numbers))

    def by_unit(self, units: Units, wanted: Sequence[int]) -> Sums:
        """[wanted, S] uses of some units."""
        rows = lookup({unit: row for row, unit in enumerate(wanted)}, -1, size=1 + int(units.unit.max()))
        row = np.where(units.unit >= 0, rows[units.unit], -1)
        places = np.flatnonzero(row >= 0)
        return self._by_row(row[places], places, len(wanted))

    def _by_row(self, rows: Ints, places: Ints, num_rows: int) -> Sums:
        words, num_sources = self.word.take(places), len(self.weight)
        cells = rows * num_sources + self.source.take(words)
        return sums(cells, self.count.take(words), num_rows * num_sources).reshape(num_rows, num_sources) * self.weight


def sums(numbers: Ints, values: Sums, size: int) -> Sums:
    """[size] the sum of the values of each number below `size`."""
    results: Any = np.bincount(numbers, weights=values, minlength=size)  # numpy's annotations know only of counts
    return cast(Sums, results)


def lookup(values: Mapping[int, int], default: int, *, size: int = 0) -> Table:
    """A table of what numbers stand for, of at least `size` entries."""
    table = np.full(max(size, 1 + max(values, default=0)), default, np.int32)
    table[list(values)] = list(values.values())
    return table


def _in_order(units: Table, places: Ints) -> Ints:
    """`places` in the order of `units`, equals as they were. Sorting plain numbers is ten times as fast here as numpy's stable argsort."""
    order = units.astype(np.int64)
    order <<= SHIFT
    order |= np.arange(len(places), dtype=np.int32)
    order.sort()
    order &= LOW
    return places.take(order)


def _groups(keys: Ints) -> tuple[Ints, Ints]:
    """Of sorted keys: each once, and [keys + 1] where each begins and the last ends."""
    changes = np.ones(len(keys) + 1, bool)
    np.not_equal(keys[1:], keys[:-1], out=changes[1:-1])
    starts = np.flatnonzero(changes)
    return keys[starts[:-1]], starts
