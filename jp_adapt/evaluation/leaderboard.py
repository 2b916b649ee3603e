"""Many models on many suites in one table: every score beside those of the first model, tested in pairs, p values corrected over the whole table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from jp_adapt.core.documents import Document, Tabular
from jp_adapt.evaluation.compare import LEVEL, Comparison, Outcome, Run, compare_groups

LEADERBOARD = "leaderboard.json"


@dataclass(frozen=True)
class Standing:
    """A model's score on a benchmark, and what sets it apart from the first model's: nothing for the first itself.

    Attributes:
        interval: of the score, 95 %.
        difference: to the first model's score; `difference_interval` is its 95 % interval over the items.
        verdict: in words, with the p value after Holm's correction.
    """

    model: str
    value: float | None
    interval: tuple[float, float] | None
    difference: float | None = None
    difference_interval: tuple[float, float] | None = None
    p_holm: float | None = None
    outcome: Outcome | None = None
    verdict: str = ""


@dataclass(frozen=True)
class BoardRow:
    """A benchmark of a suite, with the standing of each model that was measured on it. `name` is that of the score, with profile and examples."""

    suite: str
    benchmark: str
    name: str
    metric: str
    items: int
    chance: float | None
    standings: list[Standing]


@dataclass(frozen=True)
class Leaderboard(Document, Tabular):
    """leaderboard.json. `tests`: how many Holm's correction goes over. `missing`: (model, suite) that are not measured yet."""

    WHAT: ClassVar[str] = "a leaderboard"
    WAY_OUT: ClassVar[str] = "give the folder that `jp-adapt eval matrix` wrote"

    models: list[str]
    tests: int
    level: float
    table: list[BoardRow]
    missing: list[tuple[str, str]] = field(default_factory=list)
    format: int = 1

    def rows(self) -> list[dict[str, Any]]:
        """One row for each benchmark and model."""
        facts = ("suite", "benchmark", "name", "metric", "items", "chance")
        return [{key: getattr(row, key) for key in facts} | vars(standing) for row in self.table for standing in row.standings]


def leaderboard(runs: Mapping[str, Sequence[Run]], models: Sequence[str], missing: Sequence[tuple[str, str]]) -> Leaderboard:
    """The table of the runs of each suite, those of the first model first. A suite on which only one model was measured is shown without a comparison."""
    compared = [suite for suite, own in runs.items() if len(own) > 1]
    comparisons = dict(zip(compared, compare_groups([runs[suite] for suite in compared]), strict=True))
    rows = [row for suite, own in runs.items() for row in _suite_rows(suite, own, comparisons.get(suite))]
    tests = next(iter(comparisons.values())).tests if comparisons else 0
    return Leaderboard(list(models), tests, LEVEL, rows, list(missing))


def _suite_rows(suite: str, runs: Sequence[Run], comparison: Comparison | None) -> list[BoardRow]:
    beside = {} if comparison is None else {(pair.model, entry.id): entry for pair in comparison.pairs for entry in pair.benchmarks}
    rows: dict[str, BoardRow] = {}
    for run in runs:
        for score in run.scores.benchmarks:
            row = rows.setdefault(score.id, BoardRow(suite, score.id, score.name, score.primary_metric, score.items, score.chance, []))
            entry = beside.get((run.name, score.id))
            standing = Standing(run.name, score.primary.value, score.primary.interval)
            if entry is not None:
                values = (entry.difference, entry.interval, entry.p_holm, entry.outcome, entry.verdict)
                standing = Standing(run.name, score.primary.value, score.primary.interval, *values)
            row.standings.append(standing)
    return list(rows.values())
