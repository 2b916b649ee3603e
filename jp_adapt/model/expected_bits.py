"""What bits per character to expect of a training, with and without an extension: two lines, fitted to what was measured here (docs/does-it-pay.md).

Both are lines over a logarithm. With the base's own tokenizer, bits after a training over those before fall with the tokens that it reads. With an extension,
bits over those of the base's own tokenizer after the same time fall with the tokens read for each new token, because a new embedding is learned from the
places where its token stands. All points are of SmolLM2-135M on a CPU, and points of one training are not independent: intervals are rather too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

LEVEL = 0.95
FURTHEST = 4.0  # times the largest that was fitted: beyond, no figure is given
SCALE = "SmolLM2-135M on a CPU, 2.5 to 30 minutes, up to 770,000 tokens, 2,600 and 6,000 new tokens"


@dataclass(frozen=True)
class Training:
    """A pair of trainings of equal length. Points: share of the length, bits per character with the base's own tokenizer, and with the extension."""

    untrained: float
    own_tokens: int
    extended_tokens: int
    new_tokens: int
    points: tuple[tuple[float, float, float], ...]


# `python -m tests.perf training_quality --minutes=30`, 2026-11-26: the points at minute 3, 6, ..., 30.
QUALITY = Training(
    3.183,
    769_892,
    632_375,
    6_000,
    (
        (0.1, 2.667, 3.422),
        (0.2, 2.593, 3.238),
        (0.3, 2.570, 3.103),
        (0.4, 2.571, 2.984),
        (0.5, 2.545, 2.925),
        (0.6, 2.513, 2.853),
        (0.7, 2.505, 2.803),
        (0.8, 2.479, 2.773),
        (0.9, 2.471, 2.752),
        (1.0, 2.461, 2.745),
    ),
)
# `jp-adapt run quickstart` (2026-11-29) and `jp-adapt run quickstart-base-tokenizer` (2026-11-24).
QUICKSTART = Training(6.464, 92_000, 102_000, 2_600, ((1.0, 4.662, 5.238),))
TRAININGS = (QUALITY, QUICKSTART)


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
class Line:
    """y = intercept + slope * log2(x), by least squares, with what its prediction intervals need."""

    intercept: float
    slope: float
    residual: float  # standard error of one point
    count: int
    mean: float
    spread: float  # sum of squared distances of log2(x) from their mean
    least: float
    most: float

    def at(self, x: float) -> Expected | None:
        """The prediction for one more training; None where `x` lies further beyond than `FURTHEST` times what was fitted."""
        from scipy.stats import t

        if not self.least / FURTHEST <= x <= self.most * FURTHEST:
            return None
        distance = math.log2(x) - self.mean
        half = float(t.ppf((1 + LEVEL) / 2, self.count - 2)) * self.residual * math.sqrt(1 + 1 / self.count + distance**2 / self.spread)
        value = self.intercept + self.slope * math.log2(x)
        return Expected(value, value - half, value + half, not self.least <= x <= self.most)

    @property
    def root(self) -> float:
        """Where the line meets zero."""
        return float(2 ** (-self.intercept / self.slope))


def fitted(points: Sequence[tuple[float, float]]) -> Line:
    """The line through points (x, y)."""
    xs, ys = np.log2([x for x, _ in points]), np.array([y for _, y in points])
    slope, intercept = np.polyfit(xs, ys, 1)
    residual = math.sqrt(float(np.sum((ys - intercept - slope * xs) ** 2)) / (len(points) - 2))
    spread = float(np.sum((xs - xs.mean()) ** 2))
    measured = [x for x, _ in points]
    return Line(float(intercept), float(slope), residual, len(points), float(xs.mean()), spread, min(measured), max(measured))


@cache
def own_line() -> Line:
    """Bits per character with the base's own tokenizer over those before training, by tokens read."""
    return fitted([(share * one.own_tokens, own / one.untrained) for one in TRAININGS for share, own, _ in one.points])


@cache
def gap_line() -> Line:
    """How much more bits the extension has than the base's own tokenizer after the same time, as a share, by tokens read for each new token."""
    return fitted([(share * one.extended_tokens / one.new_tokens, extended / own - 1) for one in TRAININGS for share, own, extended in one.points])


def expected_own(tokens: float) -> Expected | None:
    """Bits per character after training on `tokens` with the base's own tokenizer, over those before."""
    return own_line().at(tokens)


def expected_gap(tokens: float, new_tokens: int) -> Expected | None:
    """How much more bits an extension by `new_tokens` has after `tokens`, as a share of those of the base's own tokenizer after the same time."""
    return gap_line().at(tokens / new_tokens)


def tokens_to_meet(new_tokens: int) -> float:
    """Tokens after which an extension is expected to be level with the base's own tokenizer; outside of what was fitted."""
    return gap_line().root * new_tokens
