"""Metrics of labels and of numbers over all items: balanced accuracy, macro F1, MCC, correlations. None where a metric is not defined."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_DRAWS_AT_ONCE = 1_000_000  # of items, that a bootstrap works on at a time
Draws = NDArray[np.int64]  # [R, N]: which items each of R resamples has


def right_per_char(log_likelihoods: Sequence[float], choices: Sequence[str], gold: int) -> float:
    """Whether the choice with the highest log-likelihood per character is the right one (lm-eval's acc_norm)."""
    per_char = [value / max(1, len(choice)) for value, choice in zip(log_likelihoods, choices, strict=True)]
    return float(max(range(len(per_char)), key=per_char.__getitem__) == gold)


def balanced_accuracy(predictions: Sequence[Hashable], gold: Sequence[Hashable]) -> float:
    """Mean over the right labels of the share that is found: a constant answer gets one by the number of labels."""
    return float(_balanced_accuracies(_tables(predictions, gold))[0])


def macro_f1(predictions: Sequence[Hashable], gold: Sequence[Hashable]) -> float:
    """Mean F1 over all labels that are given or right (scikit-learn's f1_score with average='macro')."""
    return float(_macro_f1s(_tables(predictions, gold))[0])


def mcc(predictions: Sequence[Hashable], gold: Sequence[Hashable]) -> float:
    """Matthews correlation of any number of labels (Gorodkin 2004); 0 for a constant answer, as scikit-learn has it."""
    return float(_mccs(_tables(predictions, gold))[0])


def pearson(predictions: Sequence[float], gold: Sequence[float]) -> float | None:
    """Pearson correlation; None where either side is constant."""
    return _number(_pearsons(np.asarray([predictions], dtype=float), np.asarray([gold], dtype=float)))


def spearman(predictions: Sequence[float], gold: Sequence[float]) -> float | None:
    """Pearson correlation of ranks, ties sharing their mean rank; None where either side is constant."""
    return _number(resampled("spearman", predictions, gold, np.arange(len(gold))[None]))


def resampled(metric: str, predictions: Sequence[Any], gold: Sequence[Any], draws: Draws) -> Floats:
    """The metric over each resample of the items, all at once. Shape: [R]; NaN where it is not defined."""
    at_once = max(1, _DRAWS_AT_ONCE // max(1, draws.shape[1]))
    return np.concatenate([_resampled(metric, predictions, gold, draws[start : start + at_once]) for start in range(0, len(draws), at_once)])


def _resampled(metric: str, predictions: Sequence[Any], gold: Sequence[Any], draws: Draws) -> Floats:
    if metric == "pearson":
        return _pearsons(np.asarray(predictions, dtype=float)[draws], np.asarray(gold, dtype=float)[draws])
    if metric == "spearman":
        return _pearsons(_ranks(predictions, draws), _ranks(gold, draws))
    return {"balanced_accuracy": _balanced_accuracies, "macro_f1": _macro_f1s, "mcc": _mccs}[metric](_tables(predictions, gold, draws))


def _tables(predictions: Sequence[Hashable], gold: Sequence[Hashable], draws: Draws | None = None) -> Floats:
    """How often each label is given where each is right, in each resample. Shape: [R, K, K], right labels first."""
    index = {label: position for position, label in enumerate(dict.fromkeys([*gold, *predictions]))}
    cells = np.array([index[g] * len(index) + index[p] for p, g in zip(predictions, gold, strict=True)], dtype=np.int64)
    drawn = cells[None] if draws is None else cells[draws]
    size = len(index) ** 2
    counts = np.bincount((drawn + np.arange(len(drawn))[:, None] * size).ravel(), minlength=len(drawn) * size)
    return counts.reshape(len(drawn), len(index), len(index)).astype(float)


def _balanced_accuracies(tables: Floats) -> Floats:
    return _mean_where(np.diagonal(tables, axis1=1, axis2=2), tables.sum(2))


def _macro_f1s(tables: Floats) -> Floats:
    return _mean_where(2 * np.diagonal(tables, axis1=1, axis2=2), tables.sum(2) + tables.sum(1))


def _mean_where(above: Floats, below: Floats) -> Floats:
    """Mean of above / below over the labels that occur. Shapes: [R, K] -> [R]."""
    shares = np.divide(above, below, out=np.zeros_like(below), where=below > 0)
    means: Floats = shares.sum(1) / (below > 0).sum(1)
    return means


def _mccs(tables: Floats) -> Floats:
    given, right, total = tables.sum(1), tables.sum(2), tables.sum((1, 2))
    covariance = np.trace(tables, axis1=1, axis2=2) * total - (given * right).sum(1)
    spread = np.sqrt((total**2 - (given**2).sum(1)) * (total**2 - (right**2).sum(1)))
    values: Floats = np.divide(covariance, spread, out=np.zeros_like(spread), where=spread > 0)
    return values


def _pearsons(x: Floats, y: Floats) -> Floats:
    """Shapes: [R, N], [R, N] -> [R]; NaN where a side is constant, or there is nothing."""
    if not x.shape[1]:
        return np.full(len(x), np.nan)
    defined = (np.ptp(x, axis=1) > 0) & (np.ptp(y, axis=1) > 0)
    x, y = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
    spread = np.sqrt((x**2).sum(1) * (y**2).sum(1))
    values: Floats = np.divide((x * y).sum(1), spread, out=np.full(len(x), np.nan), where=defined & (spread > 0))
    return np.clip(values, -1, 1)


def _ranks(values: Sequence[float], draws: Draws) -> Floats:
    """Ranks within each resample, ties sharing their mean rank. Shape: [R, N]."""
    different, inverse = np.unique(np.asarray(values, dtype=float), return_inverse=True)
    drawn = inverse[draws]
    offsets = np.arange(len(drawn))[:, None] * len(different)
    counts = np.bincount((drawn + offsets).ravel(), minlength=len(drawn) * len(different)).reshape(len(drawn), len(different))
    ranks: Floats = np.take_along_axis(counts.cumsum(1) - (counts - 1) / 2, drawn, axis=1)
    return ranks


def _number(values: Floats) -> float | None:
    return None if np.isnan(values[0]) else float(values[0])
