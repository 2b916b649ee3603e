"""Intervals and paired tests. Two models on the same items are paired data: their difference has its own, narrower interval."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

Interval = tuple[float, float]

Z95 = 1.959963984540054
RESAMPLES = 2000
FLIPS = 20_000
Z80 = 0.8416212335729143
LEAST_DISCORDANT = 6  # items, all on one side, from which an exact two-sided test says p < 0.05: 2 / 2 ** 6
_DRAWS_AT_ONCE = 2_000_000  # of items, that a bootstrap holds in memory


def wilson_interval(correct: int, total: int) -> Interval:
    """95 % interval of a share (Wilson 1927): sensible near 0 and 1 and with few items."""
    from scipy.stats import binomtest

    interval = binomtest(correct, total).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


@dataclass(frozen=True)
class Bootstrap:
    """What a statistic is over resampled items: 95 % percentile interval and standard error, None where it is defined on none of them."""

    interval: Interval | None
    stderr: float | None


def bootstrap(statistic: Callable[..., Floats], sizes: Sequence[int], generator: np.random.Generator, resamples: int = RESAMPLES) -> Bootstrap:
    """Resample items with replacement, those of each group (of `sizes` items) within their group.

    Args:
        statistic: takes which items each resample has, an array [R, N] for each group, and gives the statistic of each resample, [R]; NaN where it is not
            defined: such resamples are left out.
    """
    import numpy as np
    from scipy.stats import DegenerateDataWarning
    from scipy.stats import bootstrap as resample

    several = [size for size in sizes if size > 1]  # of a single item there is one draw, and scipy takes no sample of one

    def of_draws(*drawn: NDArray[np.int64], axis: int) -> Floats:
        rest = iter(drawn)
        return statistic(*(next(rest) if size > 1 else np.zeros((len(drawn[0]), 1), dtype=np.int64) for size in sizes))

    if several:
        batch = max(1, min(resamples, _DRAWS_AT_ONCE // sum(several)))
        indices = [np.arange(size) for size in several]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DegenerateDataWarning)  # of resamples that are not defined; they are left out below
            result = resample(indices, of_draws, n_resamples=resamples, batch=batch, method="percentile", vectorized=True, rng=generator)
        values = result.bootstrap_distribution
    else:
        values = statistic(*(np.zeros((1, 1), dtype=np.int64) for _ in sizes))
    known = values[~np.isnan(values)]
    if not len(known):
        return Bootstrap(None, None)
    low, high = np.percentile(known, [2.5, 97.5])
    return Bootstrap((float(low), float(high)), float(np.std(known)))


def bootstrap_within(
    statistic: Callable[[NDArray[np.int64]], Floats], groups: Sequence[str], generator: np.random.Generator, resamples: int = RESAMPLES
) -> Bootstrap:
    """`bootstrap` of items that are resampled within their groups.

    Args:
        statistic: takes which items each resample has, [R, N], the one at each place from the group of that place.
        groups: of each item.
    """
    import numpy as np

    members = [np.flatnonzero(np.asarray(groups) == group) for group in dict.fromkeys(groups)]

    def of_draws(*drawn: NDArray[np.int64]) -> Floats:
        items = np.empty((len(drawn[0]), len(groups)), dtype=np.int64)
        for places, own in zip(members, drawn, strict=True):
            items[:, places] = places[own]
        return statistic(items)

    return bootstrap(of_draws, list(map(len, members)), generator, resamples)


def paired_ratio_interval(numerators: tuple[Sequence[float], Sequence[float]], denominators: Sequence[float], seed: int = 0) -> Interval:
    """95 % bootstrap interval of sum(b)/sum(d) - sum(a)/sum(d), items resampled together (bits of two models over the same documents)."""
    a, b = numerators
    pairs = [(right - left, below) for left, right, below in zip(a, b, denominators, strict=True)]
    return _ratio_interval([difference for difference, _ in pairs], [below for _, below in pairs], seed)


def paired_mean_interval(a: Sequence[float], b: Sequence[float], seed: int = 0) -> Interval:
    """95 % bootstrap interval of mean(b) - mean(a), items resampled together."""
    return paired_ratio_interval((a, b), [1.0] * len(a), seed)


def mean_interval(values: Sequence[float], seed: int = 0) -> Interval:
    """95 % bootstrap interval of a mean, items resampled."""
    return _ratio_interval(list(values), [1.0] * len(values), seed)


def standard_error(values: Sequence[float]) -> float | None:
    """Standard error of a mean: sample standard deviation / sqrt(n); None for fewer than two values."""
    from scipy.stats import sem

    return float(sem(values)) if len(values) > 1 else None


def resample_counts(items: int, resamples: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """How often each of `items` is drawn in each of `resamples` draws with replacement. Shape: [resamples, items]."""
    import numpy as np

    drawn = generator.integers(0, items, (resamples, items))
    drawn += np.arange(resamples)[:, None] * items
    return np.bincount(drawn.ravel(), minlength=resamples * items).reshape(resamples, items)


def _ratio_interval(numerators: Sequence[float], denominators: Sequence[float], seed: int) -> Interval:
    """2.5 and 97.5 % of sum(numerators) / sum(denominators) over resampled items."""
    import numpy as np

    above, below = np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)
    results = bootstrap(lambda drawn: above[drawn].sum(axis=-1) / below[drawn].sum(axis=-1), [len(above)], np.random.default_rng(seed))
    assert results.interval is not None, "a ratio of finite numbers is defined on every resample"
    return results.interval


def mcnemar_p(a_correct: Sequence[bool], b_correct: Sequence[bool]) -> float:
    """Exact two-sided McNemar test: probability of a split of the discordant items at least this uneven, were both models equally good."""
    from scipy.stats import binomtest

    only_a = sum(a and not b for a, b in zip(a_correct, b_correct, strict=True))
    only_b = sum(b and not a for a, b in zip(a_correct, b_correct, strict=True))
    return float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def minimal_detectable_difference(a_correct: Sequence[bool], b_correct: Sequence[bool]) -> float | None:
    """Accuracy difference that such a pair of runs would show with 80 % power at 5 % (normal approximation, share of discordant items as observed).

    At least what the exact test can tell apart: six items that one model alone has right. None where there are fewer items than that.
    """
    total = len(a_correct)
    if total < LEAST_DISCORDANT:
        return None
    discordant = sum(a != b for a, b in zip(a_correct, b_correct, strict=True))
    return max((Z95 + Z80) * math.sqrt(discordant), LEAST_DISCORDANT) / total


def minimal_detectable_mean_difference(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Difference of means that such a pair of runs would show with 80 % power at 5 %, from the standard error of the paired differences."""
    error = standard_error([right - left for left, right in zip(a, b, strict=True)])
    return (Z95 + Z80) * error if error is not None else None


def paired_mean_p(a: Sequence[float], b: Sequence[float], seed: int = 0) -> float:
    """Two-sided p of a difference of means by flipping the signs of the paired differences at random (all 2^n of them where n is at most 12).

    Our own: scipy's `permutation_test` gives the same p and takes eleven times as long on 1,000 items (docs/log.md).
    """
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
