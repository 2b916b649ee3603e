"""Metrics of labels and of numbers over all items: balanced accuracy, macro F1, MCC, correlations, pass@k. None where a metric is not defined."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray


def balanced_accuracy(predictions: Sequence[Hashable], gold: Sequence[Hashable]) -> float:
    """Mean over the right labels of the share that is found: a constant answer gets one by the number of labels."""
    return float(np.mean([_share([p for p, g in zip(predictions, gold, strict=True) if g == label], label) for label in set(gold)]))


def _share(predictions: list[Hashable], label: Hashable) -> float:
    return sum(prediction == label for prediction in predictions) / len(predictions)


def macro_f1(predictions: Sequence[Hashable], gold: Sequence[Hashable]) -> float:
    """Mean F1 over all labels that are given or right (scikit-learn's f1_score with average='macro')."""
    scores = []
    for label in set(gold) | set(predictions):
        hits = sum(p == label == g for p, g in zip(predictions, gold, strict=True))
        total = sum(p == label for p in predictions) + sum(g == label for g in gold)
        scores.append(2 * hits / total)
    return float(np.mean(scores))


def mcc(predictions: Sequence[Hashable], gold: Sequence[Hashable]) -> float:
    """Matthews correlation of any number of labels (Gorodkin 2004); 0 for a constant answer, as scikit-learn has it."""
    labels = list(set(gold) | set(predictions))
    index = {label: position for position, label in enumerate(labels)}
    table = np.zeros((len(labels), len(labels)))
    np.add.at(table, ([index[g] for g in gold], [index[p] for p in predictions]), 1)
    given, right, total = table.sum(0), table.sum(1), table.sum()
    covariance = np.trace(table) * total - given @ right
    spread = math.sqrt((total**2 - given @ given) * (total**2 - right @ right))
    return float(covariance / spread) if spread else 0.0


def pearson(predictions: Sequence[float], gold: Sequence[float]) -> float | None:
    """Pearson correlation; None where either side is constant."""
    x, y = np.asarray(predictions, dtype=float), np.asarray(gold, dtype=float)
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(np.clip(np.corrcoef(x, y)[0, 1], -1, 1))


def spearman(predictions: Sequence[float], gold: Sequence[float]) -> float | None:
    """Pearson correlation of ranks, ties sharing their mean rank; None where either side is constant."""
    return pearson(_ranks(predictions).tolist(), _ranks(gold).tolist())


def _ranks(values: Sequence[float]) -> NDArray[np.float64]:
    _, inverse, counts = np.unique(np.asarray(values, dtype=float), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[inverse]
    return ranks


def pass_at_k(samples: int, correct: int, k: int) -> float:
    """Probability that one of k samples is right, unbiased from `samples` of which `correct` are (2107.03374)."""
    if not 0 <= correct <= samples or not 1 <= k <= samples:
        raise ValueError(f"{correct} of {samples} right and k = {k}: 0 <= correct <= samples and 1 <= k <= samples must hold")
    return 1.0 - math.comb(samples - correct, k) / math.comb(samples, k)
