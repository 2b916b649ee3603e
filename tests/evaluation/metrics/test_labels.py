"""Metrics of labels and numbers against scikit-learn and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jp_adapt.evaluation.metrics import labels

LABELS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=40)
NUMBERS = st.lists(st.tuples(st.integers(-2, 5), st.floats(0, 5, width=16)), min_size=3, max_size=40)


@pytest.mark.filterwarnings("ignore:A single label was found")
@settings(deadline=None)
@given(LABELS)
def test_labels_as_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    given_labels, gold = [p for p, _ in pairs], [g for _, g in pairs]
    assert labels.macro_f1(given_labels, gold) == pytest.approx(metrics.f1_score(gold, given_labels, average="macro"))
    assert labels.mcc(given_labels, gold) == pytest.approx(metrics.matthews_corrcoef(gold, given_labels), abs=1e-9)
    assert labels.balanced_accuracy(given_labels, gold) == pytest.approx(metrics.recall_score(gold, given_labels, labels=sorted(set(gold)), average="macro"))


@settings(deadline=None)
@given(NUMBERS)
def test_correlations_as_scipy(pairs: list[tuple[int, float]]) -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed")
    x, y = [float(a) for a, _ in pairs], [b for _, b in pairs]
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert labels.pearson(x, y) is None
        assert labels.spearman(x, y) is None
    else:
        assert labels.pearson(x, y) == pytest.approx(stats.pearsonr(x, y)[0], abs=1e-6)
        assert labels.spearman(x, y) == pytest.approx(stats.spearmanr(x, y)[0], abs=1e-9)


@pytest.mark.parametrize("at_once", [7, 1_000_000])
@settings(deadline=None)
@given(pairs=LABELS, seed=st.integers(0, 99))
def test_resamples_at_once_are_those_one_by_one(pairs: list[tuple[int, int]], seed: int, at_once: int) -> None:
    given_labels, gold = [p for p, _ in pairs], [g for _, g in pairs]
    draws = np.random.default_rng(seed).integers(0, len(pairs), (5, len(pairs)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labels, "_DRAWS_AT_ONCE", at_once)
        for name in ("balanced_accuracy", "macro_f1", "mcc", "pearson", "spearman"):
            together = labels.resampled(name, given_labels, gold, draws)
            for value, draw in zip(together, draws, strict=True):
                alone = getattr(labels, name)([given_labels[at] for at in draw], [gold[at] for at in draw])
                assert (alone is None and np.isnan(value)) or value == pytest.approx(alone, abs=1e-12)


def test_a_constant_answer_gets_one_by_the_number_of_labels() -> None:
    gold = [0] * 55 + [1] * 30 + [2] * 15
    assert labels.balanced_accuracy([0] * 100, gold) == pytest.approx(1 / 3)
    assert labels.mcc([0] * 100, gold) == 0.0
