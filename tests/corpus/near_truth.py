"""Which documents are near duplicates, by the definition and by brute force: every pair, counters of strings, nothing of the code that is judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

MIN_LETTERS = 0.88
MIN_TRIGRAMS = 0.65
COLUMNS = 1024  # letters counted apart; the others share columns, which makes the bound weaker and never wrong


def letters_of(text: str) -> str:
    results = "".join(char.lower() for char in text if char.isalnum())
    return (results if len(results) >= 3 else text).ljust(3, "\0")


def jaccard(left: str, right: str, size: int) -> float:
    """Jaccard index of the multisets of n-grams."""
    own, other = (Counter(text[at : at + size] for at in range(len(text) - size + 1)) for text in (left, right))
    return (own & other).total() / (own | other).total()


def is_near(left: str, right: str) -> bool:
    own, other = letters_of(left), letters_of(right)
    return jaccard(own, other, 1) >= MIN_LETTERS and jaccard(own, other, 3) >= MIN_TRIGRAMS


def near_pairs(texts: Sequence[str]) -> list[tuple[int, int]]:
    """All pairs (later, earlier) of near duplicates. A pair is left out unseen only where its letter counts alone say that it cannot be one."""
    letters = [letters_of(text) for text in texts]
    order = sorted(range(len(texts)), key=lambda index: len(letters[index]))
    sizes = np.array([len(letters[index]) for index in order])
    counts = np.zeros((len(order), COLUMNS), np.uint32)
    for row, index in enumerate(order):
        np.add.at(counts[row], np.array([ord(char) for char in letters[index]]) % COLUMNS, 1)
    results = []
    for row, index in enumerate(order):
        end = int(np.searchsorted(sizes, sizes[row] / MIN_LETTERS, side="right"))
        shared = np.minimum(counts[row], counts[row + 1 : end]).sum(axis=1)
        likely = shared >= (MIN_LETTERS - 1e-9) * (sizes[row] + sizes[row + 1 : end] - shared)
        for other in (order[row + 1 + at] for at in np.flatnonzero(likely).tolist()):
            if is_near(texts[index], texts[other]):
                results.append((max(index, other), min(index, other)))
    return sorted(results)
