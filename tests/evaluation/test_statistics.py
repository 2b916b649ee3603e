"""Intervals and tests against values that are known from elsewhere."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.evaluation.statistics import (
    Bootstrap,
    bootstrap,
    mcnemar_p,
    minimal_detectable_difference,
    paired_mean_interval,
    paired_ratio_interval,
    wilson_interval,
)
from tests.properties import examples


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [
        (26, 100, 0.1840, 0.3537),
        (50, 100, 0.4038, 0.5962),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
        (1, 1, 0.2065, 1.0),
    ],
)
def test_wilson_known_values(correct: int, total: int, low: float, high: float) -> None:
    assert wilson_interval(correct, total) == pytest.approx((low, high), abs=5e-5)


@examples(200)
@given(st.integers(1, 500).flatmap(lambda total: st.tuples(st.integers(0, total), st.just(total))))
def test_wilson_holds_the_share_and_mirrors(pair: tuple[int, int]) -> None:
    correct, total = pair
    low, high = wilson_interval(correct, total)
    assert 0 <= low <= correct / total + 1e-12
    assert correct / total - 1e-12 <= high <= 1
    assert wilson_interval(total - correct, total) == pytest.approx((1 - high, 1 - low), abs=1e-9)


def _answers(both: int, only_a: int, only_b: int, neither: int) -> tuple[list[bool], list[bool]]:
    a = [True] * (both + only_a) + [False] * (only_b + neither)
    b = [True] * both + [False] * only_a + [True] * only_b + [False] * neither
    return a, b


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),  # 2 * 1/2
        (5, 0, 2 / 32),
        (1, 9, 2 * (1 + 10) / 1024),
        (3, 7, 2 * (1 + 10 + 45 + 120) / 1024),
        (5, 5, 1.0),
        (2, 3, 1.0),  # 2 * (1 + 5 + 10) / 32 = 1
        (4, 12, 2 * (1 + 16 + 120 + 560 + 1820) / 65536),
    ],
)
def test_mcnemar_by_hand(only_a: int, only_b: int, p: float) -> None:
    a, b = _answers(11, only_a, only_b, 7)
    assert mcnemar_p(a, b) == pytest.approx(p)
    assert mcnemar_p(b, a) == pytest.approx(p)


def test_mcnemar_of_many_items_stays_a_probability() -> None:
    p = mcnemar_p(*_answers(0, 900, 1100, 0))
    assert 1e-6 < p < 1e-4
    with pytest.raises(ValueError, match="zip"):
        mcnemar_p([True], [])


pairs = st.lists(st.tuples(st.floats(-100, 100), st.floats(-100, 100)), min_size=2, max_size=30)


@examples(25)
@given(pairs)
def test_paired_interval_holds_the_mean_and_mirrors(values: list[tuple[float, float]]) -> None:
    a, b = [left for left, _ in values], [right for _, right in values]
    low, high = paired_mean_interval(a, b)
    mean = sum(right - left for left, right in values) / len(values)
    spread = max(right - left for left, right in values) - min(right - left for left, right in values)
    assert low <= high
    assert low - spread / 2 - 1e-9 <= mean <= high + spread / 2 + 1e-9
    mirrored = paired_mean_interval(b, a)
    assert mirrored == pytest.approx((-high, -low), abs=spread / 10 + 1e-9)


def test_paired_interval_of_a_known_sample() -> None:
    """Differences 0..99: mean 49.5, standard error 28.87 / 10."""
    a, b = [1.0] * 100, [1.0 + n for n in range(100)]
    low, high = paired_mean_interval(a, b)
    assert low < 49.5 < high
    assert (low, high) == pytest.approx((49.5 - 1.96 * 2.887, 49.5 + 1.96 * 2.887), abs=0.6)


def test_paired_items_are_drawn_together() -> None:
    """Items differ by a thousand, the models by exactly one: an unpaired interval would be wide."""
    a = [float(n * 1000) for n in range(50)]
    assert paired_mean_interval(a, [value + 1 for value in a]) == pytest.approx((1.0, 1.0))


def test_ratio_interval_weighs_items_by_their_size() -> None:
    bits_a, bits_b, sizes = [30.0, 10.0], [15.0, 5.0], [30.0, 10.0]
    assert paired_ratio_interval((bits_a, bits_b), sizes) == pytest.approx((-0.5, -0.5))
    low, high = paired_ratio_interval(([10.0] * 20, [10.0] * 19 + [30.0]), [10.0] * 20)
    assert low == 0.0
    assert high > 0.1


def test_the_same_seed_gives_the_same_interval() -> None:
    a, b = [0.0] * 40, [math.sin(n) for n in range(40)]
    assert paired_mean_interval(a, b, seed=1) == paired_mean_interval(a, b, seed=1)
    assert paired_mean_interval(a, b, seed=1) != paired_mean_interval(a, b, seed=2)


def test_unequal_lengths_are_an_error() -> None:
    with pytest.raises(ValueError, match="zip"):
        paired_mean_interval([1.0], [1.0, 2.0])


def test_minimal_detectable_difference() -> None:
    a, b = _answers(30, 10, 15, 45)
    assert minimal_detectable_difference(a, b) == pytest.approx((1.95996 + 0.84162) * 5 / 100, rel=1e-4)
    assert minimal_detectable_difference(*_answers(300, 100, 150, 450)) == pytest.approx((1.95996 + 0.84162) * 5 / 100 / math.sqrt(10), rel=1e-4)


def test_no_difference_is_detectable_that_the_exact_test_cannot_show() -> None:
    assert mcnemar_p(*_answers(50, 0, 5, 45)) > 0.05 > mcnemar_p(*_answers(50, 0, 6, 44))
    for only_b in range(5):
        assert minimal_detectable_difference(*_answers(50, 0, only_b, 50 - only_b)) == pytest.approx(0.06)
    assert minimal_detectable_difference(*_answers(2, 1, 2, 0)) is None, "five items"


def test_a_bootstrap_leaves_out_what_is_not_defined_and_keeps_groups_apart() -> None:
    items = np.arange(10.0)
    whole = bootstrap(lambda drawn: items[drawn].mean(axis=-1), [10], np.random.default_rng(0))
    assert whole.interval is not None
    assert whole.stderr == pytest.approx(items.std() / math.sqrt(10), rel=0.05)
    half = bootstrap(lambda drawn: np.where(drawn[:, 0] < 5, np.nan, items[drawn].mean(axis=-1)), [10], np.random.default_rng(0))
    assert half.interval is not None
    assert bootstrap(lambda drawn: np.full(len(drawn), np.nan), [10], np.random.default_rng(0)) == Bootstrap(None, None)
    seen: list[tuple[tuple[int, ...], ...]] = []

    def of_groups(*drawn: np.ndarray) -> np.ndarray:
        seen.append(tuple(entry.shape[1:] for entry in drawn))
        assert all(entry.max() < size for entry, size in zip(drawn, (4, 1, 7), strict=True))
        return drawn[0].mean(axis=-1) + drawn[2].mean(axis=-1)

    assert bootstrap(of_groups, [4, 1, 7], np.random.default_rng(0)).interval is not None
    assert set(seen) == {((4,), (1,), (7,))}


def test_a_single_item_has_an_interval_without_width() -> None:
    assert paired_mean_interval([1.0], [3.0]) == (2.0, 2.0)
