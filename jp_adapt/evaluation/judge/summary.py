"""What the verdicts say together: means with their errors, agreement between takes, and how a judge compares with recorded judgements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from jp_adapt.evaluation import statistics
from jp_adapt.evaluation.judge.results import Agreement, Calibration, ModelGrades, TakeScore
from jp_adapt.evaluation.metrics import labels

Key = tuple[str, int]  # item, turn


@dataclass(frozen=True)
class Takes:
    """The scores of one model: a mapping (item, turn) -> score for each take. An item without a verdict in a take is not in its mapping.

    `lengths`: characters of the answers, where they are known. `references`: the scores of the reference answers, take by take and of the same items, where a
    judge grades these too. `categories`: of the items, where they are known.
    """

    model: str
    scores: list[dict[Key, float]]
    lengths: dict[Key, int] = field(default_factory=dict)
    references: list[dict[Key, float]] = field(default_factory=list)
    categories: dict[str, str] = field(default_factory=dict)

    def item_means(self) -> dict[Key, float]:
        """The mean over the takes, of every item and turn that has a verdict in any of them."""
        return _means(self.scores)

    def reference_means(self) -> dict[Key, float]:
        """The same of the reference answers, in the same order."""
        return _means(self.references)


def summarise(takes: Takes, scale: tuple[int, int]) -> ModelGrades:
    """Mean of a model over all items and turns, its standard error and interval, the same by take, turn and category, and the agreement of the takes.

    The unit of the standard error is the item: the turns of an item and its takes are not independent.
    """
    means = takes.item_means()
    items = by_item(means)
    turns = sorted({turn for _, turn in means})
    groups: dict[str, list[float]] = {}
    for (item, _), score in means.items():
        groups.setdefault(takes.categories.get(item, ""), []).append(score)
    values = list(items.values())
    return ModelGrades(
        model=takes.model,
        items=len(items),
        judgements=sum(map(len, takes.scores)),
        judgement_mean=_mean([score for take in takes.scores for score in take.values()]),
        mean=_mean(list(means.values())),
        stderr=statistics.standard_error(values),
        interval=statistics.mean_interval(values),
        takes=[TakeScore(_mean(list(take.values())), statistics.standard_error(list(by_item(take).values()))) for take in takes.scores],
        turns={str(turn): _mean([score for (_, other), score in means.items() if other == turn]) for turn in turns},
        categories={name: _mean(scores) for name, scores in groups.items() if name},
        agreement=agreement(takes.scores, scale),
        length_spearman=_with_length(means, takes.lengths),
    )


def agreement(takes: Sequence[Mapping[Key, float]], scale: tuple[int, int]) -> Agreement | None:
    """How far the takes of one judge agree on the same answers: the counts of every pair of takes, and means over the pairs; None for a single take."""
    pairs = [pair for entry, other in combinations(takes, 2) if (pair := calibrate(entry, other, scale)).judgements]
    if not pairs:
        return None
    spreads = [statistics.standard_error([take[key] for take in takes if key in take]) for key in takes[0]]
    known = [spread**2 for spread in spreads if spread is not None]
    kappas = [pair.kappa for pair in pairs if pair.kappa is not None]
    return Agreement(
        compared=[pair.judgements for pair in pairs],
        same=[pair.same for pair in pairs],
        same_share=_mean([pair.same_share for pair in pairs if pair.same_share is not None]),
        within_one_share=_mean([pair.within_one_share for pair in pairs if pair.within_one_share is not None]),
        kappa=_mean(kappas) if kappas else None,
        noise=(sum(known) / len(known) / len(takes[0])) ** 0.5 if known else None,
    )


def calibrate(recorded: Mapping[Key, float], given: Mapping[Key, float], scale: tuple[int, int], lengths: Mapping[Key, int] | None = None) -> Calibration:
    """How far two judgements of the same answers agree: same score, at most one apart, weighted kappa, correlations, shift of the mean (given - recorded)."""
    keys = sorted(recorded.keys() & given.keys(), key=_order)
    a, b = [recorded[key] for key in keys], [given[key] for key in keys]
    same = sum(x == y for x, y in zip(a, b, strict=True))
    return Calibration(
        judgements=len(keys),
        same=same,
        same_share=same / len(keys) if keys else None,
        within_one_share=sum(abs(x - y) <= 1 for x, y in zip(a, b, strict=True)) / len(keys) if keys else None,
        kappa=weighted_kappa(a, b, scale),
        pearson=labels.pearson(a, b),
        spearman=labels.spearman(a, b),
        mean_shift=_mean(b) - _mean(a) if keys else None,
        mean_shift_interval=statistics.paired_mean_interval(a, b) if keys else None,
        length_spearman=_with_length({key: given[key] - recorded[key] for key in keys}, lengths or {}),
    )


def _means(takes: Sequence[Mapping[Key, float]]) -> dict[Key, float]:
    keys = sorted({key for take in takes for key in take}, key=_order)
    return {key: _mean([take[key] for take in takes if key in take]) for key in keys}


def _with_length(values: Mapping[Key, float], lengths: Mapping[Key, int]) -> float | None:
    """Rank correlation of values with the lengths of the answers; None where too few are known, or either is constant."""
    keys = sorted(values.keys() & lengths.keys(), key=_order)
    return labels.spearman([values[key] for key in keys], [float(lengths[key]) for key in keys]) if len(keys) > 1 else None


def weighted_kappa(a: Sequence[float], b: Sequence[float], scale: tuple[int, int]) -> float | None:
    """Cohen's kappa with quadratic weights (Cohen 1968) of ordered scores: 1 for the same scores, 0 for no more agreement than by chance."""
    count, width = len(a), float(scale[1] - scale[0])
    observed = sum(((x - y) / width) ** 2 for x, y in zip(a, b, strict=True))
    by_chance = sum(((x - y) / width) ** 2 for x in a for y in b) / count if count else 0.0
    return 1 - observed / by_chance if by_chance else None


def by_item(scores: Mapping[Key, float]) -> dict[str, float]:
    """The mean over the turns of each item."""
    items: dict[str, list[float]] = {}
    for (item, _), score in scores.items():
        items.setdefault(item, []).append(score)
    return {item: _mean(values) for item, values in items.items()}


def _order(key: Key) -> tuple[int, str, int]:
    item, turn = key
    return (int(item) if item.isdecimal() else 0, item, turn)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
