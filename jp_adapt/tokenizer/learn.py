"""Learn new tokens: byte-pair encoding continued from the base segmentation, counted by concatenation.

Ordinary BPE training counts *pairs*; here the same string reached by two different pairs counts as one candidate, because a runtime merges every
adjacent pair that spells a known token, whichever halves it is made of. Starting from the base segmentation means that every new token is
reachable through merges of tokens that really stand next to each other (Purason et al. 2512.03989), and appending means that no input gets longer.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from itertools import pairwise

Pieces = tuple[bytes, ...]


def learn_tokens(
    words: Iterable[tuple[Pieces, int]],
    num_tokens: int,
    *,
    known: Iterable[bytes],
    admit: Callable[[bytes], bool],
    min_count: int = 2,
) -> list[bytes]:
    """Learn up to `num_tokens` tokens, most frequent first at each step.

    Args:
        words: (pieces, count) of each distinct pre-token, segmented by the base tokenizer; no token ever crosses a pre-token.
        num_tokens: how many tokens to learn; fewer come back when the text has no admissible string left with `min_count`.
        known: the tokens that exist already; never learned again.
        admit: whether a byte string may become a token (whole Japanese characters, or a partial one on the way to a character).
        min_count: a candidate must stand in the corpus at least this often.

    Returns:
        The new tokens as bytes, in learned order, which is also their merge order.
    """
    state = _Corpus(words, frozenset(known), admit)
    learned: list[bytes] = []
    while len(learned) < num_tokens:
        token = state.most_frequent(min_count)
        if token is None:
            break
        learned.append(token)
        state.learn(token)
    return learned


class _Corpus:
    """The segmented words with the count of every candidate concatenation, kept current while tokens are learned."""

    def __init__(self, words: Iterable[tuple[Pieces, int]], known: frozenset[bytes], admit: Callable[[bytes], bool]) -> None:
        self._words: list[list[bytes]] = []
        self._counts: list[int] = []
        self._known = known
        self._admit = admit
        self._admitted: dict[bytes, bool] = {}
        self._rank: dict[bytes, int] = {}
        self._total: Counter[bytes] = Counter()
        self._where: dict[bytes, set[int]] = defaultdict(set)
        for index, (pieces, count) in enumerate(words):
            self._words.append(list(pieces))
            self._counts.append(count)
            self._add(index, +1)
        # Lazy heap: an entry is valid only while its count is current. Ties go to the byte order, so that runs repeat exactly.
        self._heap = [(-count, text) for text, count in self._total.items()]
        heapq.heapify(self._heap)

    def most_frequent(self, min_count: int) -> bytes | None:
        while self._heap:
            negative, text = self._heap[0]
            current = self._total[text]
            if -negative == current and current >= min_count:
                return text
            heapq.heappop(self._heap)
            if min_count <= current != -negative:
                heapq.heappush(self._heap, (-current, text))
        return None

    def learn(self, token: bytes) -> None:
        """Add `token`, rewrite every word that spells it, and bring the counts up to date."""
        self._rank[token] = len(self._rank)
        touched: set[bytes] = set()
        for index in sorted(self._where.pop(token, ())):
            touched.update(self._candidates(self._words[index]))
            self._add(index, -1)
            self._words[index] = self._merge(self._words[index])
            self._add(index, +1)
            touched.update(self._candidates(self._words[index]))
        del self._total[token]
        for text in touched:
            if self._total[text] > 0:
                heapq.heappush(self._heap, (-self._total[text], text))

    def _merge(self, pieces: list[bytes]) -> list[bytes]:
        """Merge, lowest rank first, until no adjacent pair spells a learned token: what every runtime does."""
        pieces = list(pieces)
        while True:
            best: tuple[int, int] | None = None
            for i in range(len(pieces) - 1):
                rank = self._rank.get(pieces[i] + pieces[i + 1])
                if rank is not None and (best is None or rank < best[0]):
                    best = (rank, i)
            if best is None:
                return pieces
            i = best[1]
            pieces[i : i + 2] = [pieces[i] + pieces[i + 1]]

    def _candidates(self, pieces: list[bytes]) -> list[bytes]:
        return [text for a, b in pairwise(pieces) if self._is_candidate(text := a + b)]

    def _is_candidate(self, text: bytes) -> bool:
        cached = self._admitted.get(text)
        if cached is None:
            cached = self._admitted[text] = text not in self._known and self._admit(text)
        return cached and text not in self._rank

    def _add(self, index: int, sign: int) -> None:
        count = sign * self._counts[index]
        for text in self._candidates(self._words[index]):
            self._total[text] += count
            if sign > 0:
                self._where[text].add(index)
