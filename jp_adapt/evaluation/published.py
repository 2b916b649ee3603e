"""A model beside published scores: those of the same benchmark, protocol, shots and metric, and no others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from jp_adapt.benchmarks.metrics import METRICS
from jp_adapt.benchmarks.published import Column, PublishedTable
from jp_adapt.evaluation.results import BenchmarkScore, Scores
from jp_adapt.evaluation.statistics import Z95


@dataclass(frozen=True)
class PublishedRow:
    """One published score as a share of a perfect one, and where the model that was measured here stands beside it."""

    model: str
    value: float
    source: str
    table: str
    assumed: str
    difference: float | None = None
    verdict: str = ""


@dataclass(frozen=True)
class BesidePublished:
    """A benchmark with the published scores of the same name, best first; without any, the names of those that were measured otherwise, and why. Beside
    published scores all are shares of a perfect one."""

    id: str
    name: str
    title: str
    metric: str
    value: float | None
    interval: tuple[float, float] | None
    published: list[PublishedRow]
    not_compared: list[str]
    reasons: list[str]


@dataclass(frozen=True)
class PublishedComparison:
    """An evaluation beside published scores."""

    model: str
    profile: str
    benchmarks: list[BesidePublished]


def compare_published(scores: Scores, tables: Sequence[PublishedTable]) -> PublishedComparison:
    """Each benchmark of `scores` with the published scores of the same name (benchmark, profile, shots, metric), best first, as shares of a perfect score.

    A benchmark without any has the names of those that were measured otherwise, for a reader to see what is not compared and why.
    """
    return PublishedComparison(scores.model_name or "this model", scores.profile, [_benchmark(entry, tables) for entry in scores.benchmarks])


def _benchmark(entry: BenchmarkScore, tables: Sequence[PublishedTable]) -> BesidePublished:
    rows, other, reasons = list[PublishedRow](), set[str](), set[str]()
    for table in tables:
        for index, column in enumerate(table.columns):
            if column.benchmark != entry.id:
                continue
            if column.name != entry.name:
                other.add(column.name)
            elif entry.sample is not None:
                reasons.add(f"a sample of {entry.items} of {entry.sample.of} items was measured here")
            elif column.items is not None and column.items != entry.items:
                reasons.add(f"{entry.items} items were measured here and {column.items} there")
            else:
                rows += [_row(model, value, column, table, entry) for model, values in table.models.items() if (value := values[index]) is not None]
    perfect = METRICS[entry.primary_metric].perfect if rows else 1.0
    rows.sort(key=lambda row: (-row.value, row.model))
    return BesidePublished(
        id=entry.id,
        name=entry.name,
        title=entry.title,
        metric=entry.primary_metric,
        value=None if entry.primary.value is None else entry.primary.value / perfect,
        interval=None if entry.primary.interval is None else (entry.primary.interval[0] / perfect, entry.primary.interval[1] / perfect),
        published=rows if entry.primary.value is not None else [],
        not_compared=sorted(other),
        reasons=sorted(reasons),
    )


def _row(model: str, score: float, column: Column, table: PublishedTable, entry: BenchmarkScore) -> PublishedRow:
    published, own, perfect = score / column.scale, entry.primary, METRICS[entry.primary_metric].perfect
    row = PublishedRow(model, published, table.source, table.title, table.assumed)
    if own.value is None:
        return row
    difference = own.value / perfect - published
    if own.stderr is None:
        return replace(row, difference=difference, verdict="no error is known")
    stderr = own.stderr / perfect
    theirs = math.sqrt(published * (1 - published) / column.items) if column.items and METRICS[column.metric].share else None
    error = math.hypot(stderr, theirs if theirs is not None else stderr)  # where theirs is unknown, it is taken to be as large as ours
    near = abs(difference) <= Z95 * error
    return replace(row, difference=difference, verdict="cannot be told apart" if near else "above it" if difference > 0 else "below it")
