"""What could become a token, in order of worth. Nearly all of it never comes up, so that what is worth little costs little."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from jp_adapt.tokenizer.units import Ints, halves

Candidate = tuple[float, bytes, int]  # (-worth, token, the pair that makes it; or ~unit of a sleeping character)
Worths = NDArray[np.float64]
LEAST = 1.0  # what is worth less is no longer put off
BITS = 22  # of the table of spellings
WORD = (1 << 64) - 1  # numpy multiplies numbers of 64 bits, and drops what is above them
BASE = 0x9E3779B97F4A7C15  # of the polynomial that hashes bytes


class Candidates:
    """A heap of those above a level; the others wait in arrays until the level has come down to them."""

    def __init__(self, bytes_of: Mapping[int, bytes]) -> None:
        """`bytes_of`: the bytes of each unit, of those to come too."""
        self._bytes_of = bytes_of
        self._heap: list[Candidate] = []
        self._level = np.inf
        self._below: list[tuple[Worths, Ints]] = []

    def put(self, worths: Worths, pairs: Ints) -> None:
        """Add pairs by their worths."""
        above = worths >= self._level
        for worth, pair in zip(worths[above].tolist(), pairs[above].tolist(), strict=True):
            left, right = halves(pair)
            heapq.heappush(self._heap, (-worth, self._bytes_of[left] + self._bytes_of[right], pair))
        if not above.all():
            self._below.append((worths[~above], pairs[~above]))

    def push(self, candidate: Candidate) -> None:
        """Add one candidate."""
        heapq.heappush(self._heap, candidate)

    def pop(self) -> Candidate | None:
        """Take out the candidate of most worth, the first by its bytes among equals; None where none is left."""
        while self._below and (not self._heap or -self._heap[0][0] < self._level):
            self._lower()
        return heapq.heappop(self._heap) if self._heap else None

    def is_best(self, candidate: Candidate) -> bool:
        """Whether it is known that none comes before `candidate`; where it is not, push it and pop again."""
        return (not self._below or -candidate[0] >= self._level) and (not self._heap or candidate <= self._heap[0])

    def _lower(self) -> None:
        worths, pairs = (np.concatenate(parts) for parts in zip(*self._below, strict=True))
        most = float(worths.max())
        self._level = most / 2 if most > LEAST else 0.0
        self._below = []
        self.put(worths, pairs)


class Spellings:
    """Which units, put together, may spell a token that exists: a table by the hash of its bytes, so that few have to be spelled and looked up."""

    def __init__(self, bytes_of: Mapping[int, bytes]) -> None:
        """`bytes_of`: the bytes of each unit."""
        size = 2 * max(bytes_of, default=0) + 2
        self._hash, self._power, self._known = np.zeros(size, np.uint64), np.ones(size, np.uint64), np.zeros(1 << BITS, bool)
        for unit, token in bytes_of.items():
            self.add(unit, token)

    def add(self, unit: int, token: bytes) -> None:
        """Give a unit its bytes."""
        while unit >= len(self._hash):
            self._hash, self._power = np.append(self._hash, np.zeros_like(self._hash)), np.append(self._power, np.ones_like(self._power))
        number, power = 0, 1
        for byte in token:
            number, power = number * BASE + byte + 1, power * BASE
        self._hash[unit], self._power[unit] = number & WORD, power & WORD

    def exists(self, unit: int) -> None:
        """Say that the bytes of a unit are a token."""
        self._known[self._hash[unit] >> np.uint64(64 - BITS)] = True

    def may_exist(self, left: Ints, right: Ints) -> NDArray[np.bool_]:
        """Of each pair of units, whether their bytes may be those of a token: True for all that are, and for few others."""
        known: NDArray[np.bool_] = self._known[(self._hash[left] * self._power[right] + self._hash[right]) >> np.uint64(64 - BITS)]
        return known
