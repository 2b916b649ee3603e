"""The score of answers that are graded beside reference answers: the ratio of the mean grades of each category, and the mean of these."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt

import numpy as np

from jp_adapt.evaluation import statistics
from jp_adapt.evaluation.judge.results import CategoryRatio, RatioScore, TakeScore
from jp_adapt.evaluation.judge.summary import Key, Takes
from jp_adapt.evaluation.metrics.relative import mean_ratios

Scores = Mapping[Key, float]


def ratio_of(takes: Takes) -> RatioScore:
    """The ratio of a model whose references are graded too, by the mean grades of each item over its takes.

    Its interval and standard error come from items that are resampled within their categories, each with both its grades.
    """
    scores, references = takes.item_means(), takes.reference_means()
    value, spread = _ratio(scores, references, takes.categories)
    by_take = [_ratio(*grades, takes.categories) for grades in zip(takes.scores, takes.references, strict=True)]
    categories = {}
    for name in dict.fromkeys(_groups(scores, takes.categories)):
        keys = [key for key in scores if takes.categories.get(key[0], "") == name]
        score, reference = (sum(grades[key] for key in keys) / len(keys) for grades in (scores, references))
        categories[name] = CategoryRatio(len(keys), score, reference, 100 * score / reference)
    return RatioScore(value, spread.stderr, spread.interval, [TakeScore(each, own.stderr) for each, own in by_take], categories, _noise(takes, categories))


def _ratio(scores: Scores, references: Scores, categories: Mapping[str, str]) -> tuple[float, statistics.Bootstrap]:
    """The value, and what it is over resampled items; the latter is nothing where no resample differs from another, as of one item a category."""
    groups = _groups(scores, categories)
    a, b = np.array(list(scores.values())), np.array([references[key] for key in scores])
    spread = statistics.bootstrap_within(lambda drawn: mean_ratios(a[drawn], b[drawn], groups), groups, np.random.default_rng(0))
    flat = spread.interval is None or spread.interval[0] == spread.interval[1]
    return float(mean_ratios(a[None], b[None], groups)[0]), statistics.Bootstrap(None, None) if flat else spread


def _groups(scores: Scores, categories: Mapping[str, str]) -> list[str]:
    return [categories.get(item, "") for item, _ in scores]


def _noise(takes: Takes, categories: Mapping[str, CategoryRatio]) -> float | None:
    """The part of the standard error that the judge's own wavering causes, to first order in the grades; None where a category has no item judged twice.

    An item moves the ratio R of its category of n items by (score - R reference) / (n mean reference).
    """
    variances: dict[str, list[float]] = {name: [] for name in categories}
    for key in takes.item_means():
        own = categories[name := takes.categories.get(key[0], "")]
        pairs = [(scores[key], references[key]) for scores, references in zip(takes.scores, takes.references, strict=True) if key in scores]
        spread = statistics.standard_error([(100 * score - own.ratio * reference) / own.reference for score, reference in pairs])
        if spread is not None:
            variances[name].append(spread**2)
    if not all(variances.values()):
        return None
    return sqrt(sum(sum(own) / len(own) / categories[name].items for name, own in variances.items())) / len(categories)
