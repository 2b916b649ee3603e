"""Intervals and paired tests. Two models on the same items are paired data: their difference has its own, narrower interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Z95 = 1.959963984540054
RESAMPLES = 2000
FLIPS = 20_000
Z80 = 0.8416212335729143
_DRAWS_AT_ONCE = 2_000_000  # of items, that a bootstrap holds in memory


def wilson_interval(correct: int, total: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927): sensible near 0 and 1 and with few items."""
    share, z2 = correct / total, Z95**2
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = Z95 / (1 + z2 / total) * math.sqrt(share * (1 - share) / total + z2 / (4 * total**2))
    return max(0.0, centre - half), min(1.0, centre + half)


def paired_ratio_interval(numerators: tuple[Sequence[float], Sequence[float]], denominators: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """95 % bootstrap interval of sum(b)/sum(d) - sum(a)/sum(d), items resampled together (bits of two models over the same documents)."""
    a, b = numerators
    pairs = [(right - left, below) for left, right, below in zip(a, b, denominators, strict=True)]
    return _percentiles([difference for difference, _ in pairs], [below for _, below in pairs], seed)


def paired_mean_interval(a: Sequence[float], b: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """95 % bootstrap interval of mean(b) - mean(a), items resampled together."""
    return paired_ratio_interval((a, b), [1.0] * len(a), seed)


def mean_interval(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """95 % bootstrap interval of a mean, items resampled."""
    return _percentiles(list(values), [1.0] * len(values), seed)


def standard_error(values: Sequence[float]) -> float | None:
    """Standard error of a mean: sample standard deviation / sqrt(n); None for fewer than two values."""
    count = len(values)
    if count < 2:
        return None
    mean = math.fsum(values) / count
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1) / count)


def resample_counts(items: int, resamples: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """How often each of `items` is drawn in each of `resamples` draws with replacement. Shape: [resamples, items]."""
    import numpy as np

    drawn = generator.integers(0, items, (resamples, items))
    drawn += np.arange(resamples)[:, None] * items
    return np.bincount(drawn.ravel(), minlength=resamples * items).reshape(resamples, items)


def _percentiles(numerators: Sequence[float], denominators: Sequence[float], seed: int) -> tuple[float, float]:
    """2.5 and 97.5 % of sum(numerators) / sum(denominators) over resampled items."""
    import numpy as np

    generator, items = np.random.default_rng(seed), len(numerators)
    above, below = np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)
    values: list[NDArray[np.float64]] = []
    at_once = max(1, min(RESAMPLES, _DRAWS_AT_ONCE // items))
    for start in range(0, RESAMPLES, at_once):
        drawn = generator.integers(0, items, (min(at_once, RESAMPLES - start), items))
        values.append(above[drawn].sum(axis=1) / below[drawn].sum(axis=1))
    ordered = np.sort(np.concatenate(values))
    return float(ordered[round(0.025 * (RESAMPLES - 1))]), float(ordered[round(0.975 * (RESAMPLES - 1))])


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
    return (Z95 + Z80) * math.sqrt(max(discordant, 1)) / total


def minimal_detectable_mean_difference(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Difference of means that such a pair of runs would show with 80 % power at 5 %, from the standard error of the paired differences."""
    error = standard_error([right - left for left, right in zip(a, b, strict=True)])
    return (Z95 + Z80) * error if error is not None else None


def paired_mean_p(a: Sequence[float], b: Sequence[float], seed: int = 0) -> float:
    """Two-sided p of a difference of means by flipping the signs of the paired differences at random (all 2^n of them where n is at most 12)."""
    import numpy as np

    differences = np.asarray([right - left for left, right in zip(a, b, strict=True)], dtype=float)
    differences = differences[differences != 0]
    if not len(differences):
        return 1.0
    observed = abs(differences.sum()) * (1 - 1e-12)
    if len(differences) <= 12:
        every = 1 - 2 * ((np.arange(2 ** len(differences))[:, None] >> np.arange(len(differences))) & 1)
        return float((abs(every @ differences) >= observed).mean())
    generator, reached = np.random.default_rng(seed), 0
    for _ in range(FLIPS // 1000):
        signs = 1.0 - 2.0 * generator.integers(0, 2, (1000, len(differences)), dtype=np.int8)
        reached += int((abs(signs @ differences) >= observed).sum())
    return (reached + 1) / (FLIPS + 1)


def holm(ps: Sequence[float]) -> list[float]:
    """Adjusted p values of several tests (Holm 1979): the chance that any of the true null hypotheses is rejected stays at the level asked for."""
    order = sorted(range(len(ps)), key=ps.__getitem__)
    adjusted, highest = [0.0] * len(ps), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, ps[index] * (len(ps) - rank)))
        adjusted[index] = highest
    return adjusted
