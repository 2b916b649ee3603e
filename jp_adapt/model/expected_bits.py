"""What bits per character to expect of a training, with and without an extension: two fits to what was measured here (docs/does-it-pay.md).

Both are linear in logarithms. With the base's own tokenizer, bits after a training over those before fall with the tokens that it reads. With an extension,
bits over those of the base's own tokenizer after the same time fall with the tokens that it reads, and with the number of new tokens.
All points are of SmolLM2-135M on a CPU, and points of one training are not independent: intervals are rather too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

LEVEL = 0.95
FURTHEST = 4.0  # times the largest that was fitted: beyond, no figure is given
SCALE = "SmolLM2-135M on a CPU, 2 to 30 minutes, up to 770,000 tokens, 400 to 6,000 new tokens"


@dataclass(frozen=True)
class Training:
    """A pair of trainings of equal length. Points: share of the length, bits per character with the base's own tokenizer, and with the extension."""

    untrained: float
    own_tokens: int
    extended_tokens: int
    new_tokens: int
    points: tuple[tuple[float, float, float], ...]


# `python -m tests.perf training_quality --minutes=30`, 2026-11-26: the points at minute 12, 15, ..., 30. New rows move whitened now, which pays before that.
QUALITY = Training(
    3.183,
    769_892,
    632_375,
    6_000,
    ((0.4, 2.571, 2.984), (0.5, 2.545, 2.925), (0.6, 2.513, 2.853), (0.7, 2.505, 2.803), (0.8, 2.479, 2.773), (0.9, 2.471, 2.752), (1.0, 2.461, 2.745)),
)
# Whitened: six minutes of a core with AMX, 2026-11-30 (the points at minute 2, 4 and 6), and 28 minutes of one with AVX2, 2026-12-01 (minute 14 and 28).
FAST, SLOW = (2.723, 2.609, 2.548), (2.723, 2.604)
FAST_FEW = Training(3.183, 151_400, 140_707, 400, tuple(zip((1 / 3, 2 / 3, 1.0), FAST, (3.294, 2.997, 2.866), strict=True)))
FAST_MANY = Training(3.183, 151_400, 126_936, 6_000, tuple(zip((1 / 3, 2 / 3, 1.0), FAST, (3.273, 3.100, 3.001), strict=True)))
SLOW_FEW = Training(3.183, 124_853, 111_611, 500, tuple(zip((0.5, 1.0), SLOW, (3.212, 2.924), strict=True)))
SLOW_MIDDLE = Training(3.183, 124_853, 111_095, 2_000, tuple(zip((0.5, 1.0), SLOW, (3.261, 3.026), strict=True)))
SLOW_MANY = Training(3.183, 124_853, 110_053, 6_000, tuple(zip((0.5, 1.0), SLOW, (3.208, 3.067), strict=True)))
TRAININGS = (QUALITY, FAST_FEW, FAST_MANY, SLOW_FEW, SLOW_MIDDLE, SLOW_MANY)
# `jp-adapt run quickstart` beside its control, 2026-11-30. Its text is of the kind that its vocabulary was made of, which closes the gap: no other's does.
QUICKSTART = Training(6.484, 112_278, 101_434, 2_600, ((1.0, 4.547, 4.563),))


@dataclass(frozen=True)
class Expected:
    """A figure with its interval of 95 %; `extrapolated` where it lies outside of what was fitted."""

    value: float
    low: float
    high: float
    extrapolated: bool

    def times(self, factor: float) -> Expected:
        return Expected(self.value * factor, self.low * factor, self.high * factor, self.extrapolated)


@dataclass(frozen=True)
class Fit:
    """y = c0 + c1 log2(x1) + ..., by least squares, with what its prediction intervals need.

    Attributes:
        coefficients: c0, c1, ...
        residual: standard error of one point.
        spread: inverse of X'X, X being a row (1, log2 x1, ...) of each point.
        freedom: points beyond the coefficients.
        bounds: least and largest of each x.
    """

    coefficients: tuple[float, ...]
    residual: float
    spread: np.ndarray
    freedom: int
    bounds: tuple[tuple[float, float], ...]

    def at(self, *xs: float) -> Expected | None:
        """The prediction for one more training; None where an x lies further beyond than `FURTHEST` times what was fitted."""
        from scipy.stats import t

        if not all(least / FURTHEST <= x <= most * FURTHEST for x, (least, most) in zip(xs, self.bounds, strict=True)):
            return None
        row = np.array([1.0, *(math.log2(x) for x in xs)])
        half = float(t.ppf((1 + LEVEL) / 2, self.freedom)) * self.residual * math.sqrt(1 + float(row @ self.spread @ row))
        value = float(row @ np.array(self.coefficients))
        return Expected(value, value - half, value + half, not all(least <= x <= most for x, (least, most) in zip(xs, self.bounds, strict=True)))


def fitted(points: Sequence[tuple[tuple[float, ...], float]]) -> Fit:
    """The fit to points ((x1, ...), y)."""
    rows = np.array([[1.0, *(math.log2(x) for x in xs)] for xs, _ in points])
    values = np.array([y for _, y in points])
    coefficients, *_ = np.linalg.lstsq(rows, values, rcond=None)
    freedom = len(points) - rows.shape[1]
    residual = math.sqrt(float(np.sum((values - rows @ coefficients) ** 2)) / freedom)
    bounds = tuple((min(column), max(column)) for column in zip(*(xs for xs, _ in points), strict=True))
    return Fit(tuple(map(float, coefficients)), residual, np.linalg.inv(rows.T @ rows), freedom, bounds)


@cache
def own_fit() -> Fit:
    """Bits per character with the base's own tokenizer over those before training, by tokens read."""
    trainings = (*TRAININGS, QUICKSTART)
    points = {((share * one.own_tokens,), own / one.untrained) for one in trainings for share, own, _ in one.points}  # extensions may share a control
    return fitted(sorted(points))


@cache
def gap_fit() -> Fit:
    """How much more bits the extension has than the base's own tokenizer after the same time, as a share, by the tokens that it reads and the new tokens."""
    return fitted([((share * one.extended_tokens, one.new_tokens), extended / own - 1) for one in TRAININGS for share, own, extended in one.points])


def expected_own(tokens: float) -> Expected | None:
    """Bits per character after training on `tokens` with the base's own tokenizer, over those before."""
    return own_fit().at(tokens)


def expected_gap(tokens: float, new_tokens: int) -> Expected | None:
    """How much more bits an extension by `new_tokens` has after `tokens`, as a share of those of the base's own tokenizer after the same time."""
    return gap_fit().at(tokens, new_tokens)


def tokens_to_meet(new_tokens: int) -> float:
    """Tokens after which an extension is expected to be level with the base's own tokenizer; outside of what was fitted."""
    level, by_tokens, by_size = gap_fit().coefficients
    return float(2 ** (-(level + by_size * math.log2(new_tokens)) / by_tokens))
