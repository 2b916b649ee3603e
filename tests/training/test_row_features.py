"""Features of new tokens by their neighbours: equal for tokens in equal places, against sums by hand, and of text without neighbours."""

from __future__ import annotations

import numpy as np
import pytest

from jp_adapt.corpus.mixture import plan_training
from jp_adapt.corpus.pack import Plan
from jp_adapt.training.row_features import row_features
from jp_adapt.training.row_steps import NUM_FEATURES

FIRST = 500


def plan_of(documents: list[list[int]], length: int = 32) -> Plan:
    return plan_training({"ja": (documents, 1.0)}, prefix=0, length=length, rows_per_step=2, seed=1, epochs=1)


def likeness(features: np.ndarray, one: int, other: int) -> float:
    return float(features[one, :-1] @ features[other, :-1])


def test_tokens_with_like_neighbours_have_like_features() -> None:
    documents = [[10 + start, FIRST + start % 2, 30 + start] for start in range(4)] * 5  # new tokens 0 and 1 share no neighbour
    documents += [[20, FIRST + 2, 40, 50], [20, FIRST + 3, 40, 60], [21, FIRST + 4, 41, 70]] * 5  # 2 and 3 share most, 4 has others
    features = row_features(plan_of(documents), FIRST, 7)
    assert features.shape == (7, NUM_FEATURES)
    np.testing.assert_allclose(np.linalg.norm(features[:5, :-1], axis=1), 1.0, rtol=1e-5)
    assert features[:5, -1].tolist() == [1.0] * 5
    assert not features[5:].any(), "tokens that do not occur"
    assert likeness(features, 2, 3) > 0.4
    assert abs(likeness(features, 2, 4)) < 0.1
    assert abs(likeness(features, 0, 1)) < 0.3


def test_neighbours_end_with_the_document() -> None:
    """Documents in one row: the last token of one and the first of the next are no neighbours, so that text in another order has the same features."""
    documents = [[FIRST + start, 10 + start, 20 + start % 3, FIRST + 4 + start % 2] for start in range(4)] * 3
    packed, alone = (row_features(plan_of(documents, length), FIRST, 6) for length in (48, 4))
    np.testing.assert_allclose(packed @ packed.T, alone @ alone.T, atol=1e-4)


def test_the_same_text_gives_the_same_bits_and_text_without_neighbours_what_all_share() -> None:
    documents = [[(7 * start + 3 * index) % 20 + 490 for index in range(12)] for start in range(30)]
    first, second = (row_features(plan_of(documents), FIRST, 10) for _ in range(2))
    assert np.array_equal(first, second)
    lonely = row_features(plan_of([[FIRST], [FIRST + 1]]), FIRST, 3)
    assert lonely[:, -1].tolist() == [1.0, 1.0, 0.0]
    assert np.isfinite(lonely).all()


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_new_tokens_are_enough(count: int) -> None:
    features = row_features(plan_of([[10, FIRST, 11, FIRST + 1, 12]] * 3), FIRST, count)
    assert features.shape == (count, NUM_FEATURES)
    assert features[:, -1].tolist() == [1.0] * count
