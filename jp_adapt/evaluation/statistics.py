"""Intervals and paired tests. Two models on the same items are paired data: their difference has its own, narrower interval."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

Z95 = 1.959963984540054
RESAMPLES = 2000


def wilson_interval(correct: int, total: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927): sensible near 0 and 1 and with few items."""
    share, z2 = correct / total, Z95**2
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = Z95 / (1 + z2 / total) * math.sqrt(share * (1 - share) / total + z2 / (4 * total**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def paired_ratio_interval(numerators: tuple[Sequence[float], Sequence[float]], denominators: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """95 % bootstrap interval of sum(b)/sum(d) - sum(a)/sum(d), items resampled together (bits of two models over the same documents)."""
    a, b = numerators
    differences = [right - left for left, right in zip(a, b, strict=True)]
    return _percentiles(list(zip(differences, denominators, strict=True)), seed)


def paired_mean_interval(a: Sequence[float], b: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """95 % bootstrap interval of mean(b) - mean(a), items resampled together."""
    return paired_ratio_interval((a, b), [1.0] * len(a), seed)


def _percentiles(pairs: list[tuple[float, float]], seed: int) -> tuple[float, float]:
    generator = random.Random(seed)
    values = []
    for _ in range(RESAMPLES):
        drawn = generator.choices(pairs, k=len(pairs))
        values.append(sum(pair[0] for pair in drawn) / sum(pair[1] for pair in drawn))
    values.sort()
    return values[round(0.025 * (RESAMPLES - 1))], values[round(0.975 * (RESAMPLES - 1))]


def mcnemar_p(a_correct: Sequence[bool], b_correct: Sequence[bool]) -> float:
    """Exact two-sided McNemar test: probability of a split of the discordant items at least this uneven, were both models equally good."""
    only_a = sum(a and not b for a, b in zip(a_correct, b_correct, strict=True))
    only_b = sum(b and not a for a, b in zip(a_correct, b_correct, strict=True))
    discordant = only_a + only_b
    tail = sum(math.comb(discordant, k) for k in range(min(only_a, only_b) + 1)) / 2**discordant
    return float(min(1.0, 2 * tail))


def minimal_detectable_difference(a_correct: Sequence[bool], b_correct: Sequence[bool]) -> float:
    """Accuracy difference that such a pair of runs would show with 80 % power at 5 % (normal approximation, share of discordant items as observed)."""
    total = len(a_correct)
    discordant = sum(a != b for a, b in zip(a_correct, b_correct, strict=True))
    return (Z95 + 0.8416212335729143) * math.sqrt(max(discordant, 1)) / total


def degenerate_warning(predictions: Sequence[int], num_choices: int) -> str | None:
    """A warning when a model answers one position far more often than any mixture of right answers would make it."""
    position, count = max(((p, predictions.count(p)) for p in set(predictions)), key=lambda pair: pair[1])
    expected = len(predictions) / num_choices
    return f"answers position {position + 1} on {count} of {len(predictions)} items" if count > 2 * expected else None
