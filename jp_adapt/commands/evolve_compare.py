"""The models around an evolution, measured on what the search never saw: parents, uniform merges, the evolved model and their paired differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from jp_adapt.commands.evolve_measures import SCORE, MeasuredItems, Meter
from jp_adapt.evaluation.statistics import Z95, mcnemar_p, paired_mean_interval, paired_mean_p, paired_ratio_interval
from jp_adapt.report.evolution import FITNESS, Difference, Figure, Guarded, MeasuredModel, ModelKind

BITS = "bits per character"


@dataclass(frozen=True)
class ItemFigures:
    """One model on the items of one measure and split: the bits and characters of each, and its score where the benchmark has one."""

    bits: list[float]
    chars: list[int]
    scores: list[float] | None
    losses: list[float]


@dataclass(frozen=True)
class Measured:
    """A model with what its items cost, by measure."""

    name: str
    kind: ModelKind
    dev: dict[str, ItemFigures]
    heldout: dict[str, ItemFigures]


def measure(meter: Meter, measures: Sequence[MeasuredItems], name: str, kind: ModelKind) -> Measured:
    """Measure the model of a meter on the items of both splits, with bits and scores alike."""
    return Measured(name, kind, *(_split(meter, measures, heldout=heldout) for heldout in (False, True)))


def heldout_figures(meter: Meter, measures: Sequence[MeasuredItems]) -> dict[str, float]:
    """The fitness on held-out items, and the bits of each measure that counts in it by its bits."""
    losses = meter.losses({entry.name: entry.heldout for entry in measures if entry.settings.weight})
    values = {FITNESS: math.fsum(entry.settings.weight * _mean(losses[entry.name]) for entry in measures if entry.name in losses)}
    counted = [entry for entry in measures if entry.name in losses and entry.settings.metric != SCORE]
    return values | {entry.name: entry.bits_per_char(losses[entry.name], entry.heldout) for entry in counted}


def _split(meter: Meter, measures: Sequence[MeasuredItems], *, heldout: bool) -> dict[str, ItemFigures]:
    items = {entry.name: entry.heldout if heldout else entry.dev for entry in measures}
    results = {}
    bits = meter.bits({entry.name: items[entry.name] for entry in measures if entry.metric is None})
    for entry in measures:
        asked = items[entry.name]
        scores, own = meter.scores_and_bits(entry.name, asked) if entry.metric is not None else (None, bits[entry.name])
        results[entry.name] = ItemFigures(own, [entry.chars(item) for item in asked], scores, entry.losses(asked, own, scores or ()))
    return results


def figures(measures: Sequence[MeasuredItems]) -> list[Figure]:
    """What is reported, the fitness first."""
    sizes = {entry.name: (len(entry.dev), len(entry.heldout)) for entry in measures}
    counted = [sizes[entry.name] for entry in measures if entry.settings.weight]
    results = [Figure(FITNESS, "weighted sum", "", True, *(sum(size[side] for size in counted) for side in (0, 1)))]
    for entry in measures:
        bits_count = entry.settings.metric != SCORE
        own = Figure(entry.name, entry.title, BITS, True, *sizes[entry.name])
        results.append(replace(own, weight=entry.settings.weight or None, guard=entry.settings.guard) if bits_count else own)
        if entry.metric is not None:
            score = replace(own, name=f"{entry.name}/{entry.metric}", unit=entry.metric, lower_is_better=False)
            results.append(score if bits_count else replace(score, weight=entry.settings.weight or None, guard=entry.settings.guard))
    return results


def compared(measures: Sequence[MeasuredItems], models: Sequence[Measured]) -> list[MeasuredModel]:
    """Every model with its figures, and how the evolved one differs from it on held-out items."""
    evolved = next(entry for entry in models if entry.kind == "evolved")
    return [
        MeasuredModel(
            entry.name,
            entry.kind,
            _values(entry.dev, measures),
            _values(entry.heldout, measures),
            {} if entry is evolved else _differences(entry, evolved, measures),
        )
        for entry in models
    ]


def _values(of: dict[str, ItemFigures], measures: Sequence[MeasuredItems]) -> dict[str, float]:
    values = {FITNESS: math.fsum(entry.settings.weight * _mean(of[entry.name].losses) for entry in measures)}
    for entry in measures:
        own = of[entry.name]
        values[entry.name] = math.fsum(own.bits) / sum(own.chars)
        if own.scores is not None:
            values[f"{entry.name}/{entry.metric}"] = _mean(own.scores)
    return values


def _differences(other: Measured, evolved: Measured, measures: Sequence[MeasuredItems]) -> dict[str, Difference]:
    results, mean, variance = {}, 0.0, 0.0
    for entry in measures:
        theirs, ours = other.heldout[entry.name], evolved.heldout[entry.name]
        value = (math.fsum(ours.bits) - math.fsum(theirs.bits)) / sum(ours.chars)
        interval = paired_ratio_interval((theirs.bits, ours.bits), ours.chars)
        results[entry.name] = Difference(value, interval, paired_mean_p(theirs.bits, ours.bits))
        if theirs.scores is not None and ours.scores is not None:
            results[f"{entry.name}/{entry.metric}"] = _score_difference(theirs.scores, ours.scores)
        changes = [own - before for own, before in zip(ours.losses, theirs.losses, strict=True)]
        mean += entry.settings.weight * _mean(changes)
        variance += entry.settings.weight**2 * math.fsum((change - _mean(changes)) ** 2 for change in changes) / max(1, len(changes) - 1) / len(changes)
    spread = Z95 * math.sqrt(variance)
    return {FITNESS: Difference(mean, (mean - spread, mean + spread))} | results


def _score_difference(theirs: Sequence[float], ours: Sequence[float]) -> Difference:
    shares = {*theirs, *ours} <= {0.0, 1.0}
    p = mcnemar_p([score == 1 for score in theirs], [score == 1 for score in ours]) if shares else paired_mean_p(theirs, ours)
    return Difference(_mean(ours) - _mean(theirs), paired_mean_interval(theirs, ours), p)


def guards(measures: Sequence[MeasuredItems], evolved: Measured, uniform: Measured) -> list[Guarded]:
    """Each guard's loss over that of the merge from which the search started."""
    results = []
    for entry in measures:
        if entry.settings.guard is not None:
            sides = ((getattr(evolved, split)[entry.name].losses, getattr(uniform, split)[entry.name].losses) for split in ("dev", "heldout"))
            results.append(Guarded(entry.name, entry.settings.guard, *(_mean(own) / _mean(theirs) if _mean(theirs) else 1.0 for own, theirs in sides)))
    return results


def lowest(models: Sequence[MeasuredModel], *kinds: ModelKind) -> MeasuredModel:
    """The model of these kinds with the lowest held-out fitness."""
    return min((entry for entry in models if entry.kind in kinds), key=lambda entry: entry.heldout[FITNESS])


def verdict(models: Sequence[MeasuredModel], start: str, what: str) -> str:
    """Whether the search was worth it, on items that it never saw, in a sentence. `start`: name of the merge from which it started; `what`: what that is."""
    parent = lowest(models, "parent", "base")
    rivals = [("the base" if parent.kind == "base" else "the best parent", parent)]
    rivals.append((what, next(entry for entry in models if entry.name == start)))
    said = [_said(f"{what} ('{entry.name}')", entry.differences[FITNESS]) for what, entry in rivals]
    return f"By the fitness on held-out items, the evolved model {', and '.join(said)}."


def _said(rival: str, difference: Difference) -> str:
    low, high = difference.interval
    word = f"is better than {rival}" if high < 0 else f"is worse than {rival}" if low > 0 else f"is not shown to be better than {rival}"
    return f"{word}: {difference.value:+.3f} (95 % interval {low:+.3f} to {high:+.3f})"


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
