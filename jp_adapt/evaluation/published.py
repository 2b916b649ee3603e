"""A model beside published scores: those of the same benchmark, protocol, shots and metric, and no others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from jp_adapt.benchmarks.published import Column, PublishedTable
from jp_adapt.evaluation.results import BenchmarkScore, Scores
from jp_adapt.evaluation.statistics import Z95

Report = dict[str, Any]
SHARES = ("accuracy", "exact_match", "number_match", "jasquad_exact_match", "harness_number_match", "lm_eval_exact_match")


def compare_published(scores: Scores, tables: Sequence[PublishedTable]) -> Report:
    """Each benchmark of `scores` with the published scores of the same name (benchmark, profile, shots, metric), best first, as shares of a perfect score.

    A benchmark without any has the names of those that were measured otherwise, for a reader to see what is not compared and why.
    """
    name = scores.model_name or "this model"
    return {"model": name, "profile": scores.profile, "benchmarks": [_benchmark(entry, name, tables) for entry in scores.benchmarks]}


def _benchmark(entry: BenchmarkScore, name: str, tables: Sequence[PublishedTable]) -> Report:
    value = entry.metrics[entry.primary_metric].value
    rows, other, reasons = [], set[str](), set[str]()
    for table in tables:
        for index, column in enumerate(table.columns):
            if column.benchmark != entry.id:
                continue
            if column.name != entry.name:
                other.add(column.name)
            elif column.items is not None and column.items != entry.items:
                reasons.add(f"{entry.items} items were measured here and {column.items} there")
            else:
                rows += [_row(model, found[index], column, table, entry) for model, found in table.models.items() if found[index] is not None]
    rows.sort(key=lambda row: (-row["value"], row["model"]))
    return {
        "id": entry.id,
        "name": entry.name,
        "title": entry.title,
        "metric": entry.primary_metric,
        "model": name,
        "value": value,
        "interval": entry.metrics[entry.primary_metric].interval,
        "published": rows if value is not None else [],
        "not_compared": sorted(other),
        "reasons": sorted(reasons),
    }


def _row(model: str, found: float | None, column: Column, table: PublishedTable, entry: BenchmarkScore) -> Report:
    assert found is not None
    published, mine = found / column.scale, entry.metrics[entry.primary_metric]
    row: Report = {
        "model": model,
        "value": published,
        "source": table.source,
        "table": table.title,
        "assumed": table.assumed,
        "difference": None,
        "verdict": "",
    }
    if mine.value is None:
        return row
    row["difference"] = mine.value - published
    theirs = math.sqrt(published * (1 - published) / column.items) if column.items and column.metric in SHARES else None
    if mine.stderr is None:
        return row | {"verdict": "no error is known"}
    error = math.hypot(mine.stderr, theirs if theirs is not None else mine.stderr)  # where theirs is unknown, it is taken to be as large as ours
    near = abs(row["difference"]) <= Z95 * error
    return row | {"verdict": "cannot be told apart" if near else "above it" if row["difference"] > 0 else "below it"}
