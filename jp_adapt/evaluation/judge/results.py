"""What a judging leaves behind: judge_summary.json, the means of the grades or the ranking, with agreement, calibration, use and failures."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from jp_adapt.core.documents import Document
from jp_adapt.evaluation.judge.bradley_terry import Ranking

SUMMARY = "judge_summary.json"
EARLIER_SUMMARY = "summary.json"  # as earlier versions named it: the name of a run's summary


@dataclass(frozen=True)
class TakeScore:
    """The mean of one take, and its standard error over items (None for a single item)."""

    mean: float
    stderr: float | None


@dataclass(frozen=True)
class Agreement:
    """How far the takes of one judge agree: counts for every pair of takes, means over the pairs.

    `noise` is the part of the standard error of the mean that the judge's own wavering would cause alone; None where no item was judged twice.
    """

    compared: list[int]
    same: list[int]
    same_share: float
    within_one_share: float
    kappa: float | None
    noise: float | None


@dataclass(frozen=True)
class Calibration:
    """How far two judgements of the same answers agree. Shares and the shift of the mean (given - recorded) are None where they have no answer in common.

    `length_spearman`: rank correlation of (given - recorded) with the characters of the answers. Above 0 this judge likes long answers better than the record's
    does; None where the lengths are not known.
    """

    judgements: int
    same: int
    same_share: float | None
    within_one_share: float | None
    kappa: float | None
    pearson: float | None
    spearman: float | None
    mean_shift: float | None
    mean_shift_interval: tuple[float, float] | None
    length_spearman: float | None = None


@dataclass(frozen=True)
class RankingCalibration:
    """How the strengths of the models that stand in both rankings correlate."""

    models: list[str]
    spearman: float | None
    pearson: float | None


@dataclass(frozen=True)
class CategoryRatio:
    """A category of items: the mean grades of a model's answers and of the reference answers, and 100 x their ratio."""

    items: int
    score: float
    reference: float
    ratio: float


@dataclass(frozen=True)
class RatioScore:
    """A model beside the reference answers that were graded with it: the mean of the ratios of its categories, 100 where both are as good.

    Standard error and 95 % interval are of items resampled within their categories, None where that changes nothing. `noise` is the part of the standard error
    that the judge's own wavering would cause alone; None where a category has no item that was judged twice.
    """

    value: float
    stderr: float | None
    interval: tuple[float, float] | None
    takes: list[TakeScore]
    categories: dict[str, CategoryRatio]
    noise: float | None


@dataclass(frozen=True)
class ModelGrades:
    """The grades of one model: mean over items and turns, its standard error and 95 % interval over items, the same by take, turn and category.

    `judgement_mean` counts every judgement once, as FastChat's show_result.py does. `length_spearman`: rank correlation of scores with the characters of the
    answers; None where the lengths are not known. `ratio`: where reference answers are graded beside the model's.
    """

    model: str
    items: int
    judgements: int
    judgement_mean: float
    mean: float
    stderr: float | None
    interval: tuple[float, float]
    takes: list[TakeScore]
    turns: dict[str, float]
    categories: dict[str, float]
    agreement: Agreement | None
    length_spearman: float | None = None
    ratio: RatioScore | None = None


@dataclass(frozen=True)
class Estimate:
    """What a judging will use at most; `cost` is None without prices."""

    requests: int
    tokens_in: int
    tokens_out: int
    cost: float | None


@dataclass(frozen=True)
class Used:
    """What a judging used, `fresh_*` in its last run alone; `uncounted` answers came without a count of tokens."""

    requests: int
    tokens_in: int
    tokens_out: int
    uncounted: int
    fresh_requests: int
    fresh_in: int
    fresh_out: int
    cost: float | None
    fresh_cost: float | None


@dataclass(frozen=True)
class Failure:
    """A judgement without a verdict, and why."""

    models: list[str]
    item: str
    turn: int
    take: int
    why: str | None


@dataclass(frozen=True)
class Outcome:
    """How many judgements there are, and which of them have no verdict. Empty answers are graded without asking."""

    judgements: int
    empty_answers: int
    without_verdict: int
    requests_failed: int
    asked_again: int
    models_without_verdict: list[str]
    failures: list[Failure]


@dataclass(frozen=True)
class RecordedSummary:
    """What judgements say that somebody recorded."""

    benchmark: str
    sha256: dict[str, str]
    models: list[ModelGrades]
    calibration: dict[str, Calibration] | None


@dataclass(frozen=True, kw_only=True)
class JudgeSummary(Outcome, Document):
    """The content of judge_summary.json: the grades of each model, or one ranking of all of them. `judge` is the judge's identity."""

    WHAT: ClassVar[str] = "the summary of a judging"
    WAY_OUT: ClassVar[str] = "give the folder that `jp-adapt judge` wrote"

    benchmark: str
    version: str
    licence: str
    source: str
    judge: dict[str, Any]
    takes: int
    sha256: dict[str, str]  # of every file that was read
    estimate: Estimate
    usage: Used
    half_written_lines: int  # of the cache, left by a run that was killed
    models: list[ModelGrades] = field(default_factory=list)
    ranking: Ranking | None = None
    calibration: dict[str, Calibration] | RankingCalibration | None = None
    format: Literal[1] = 1


def read_judge_summary(path: str | Path) -> JudgeSummary:
    """The summary in a folder of `jp-adapt judge`, under its name of today or of earlier versions, or in its file. InputError if it is not one."""
    path = Path(path)
    if path.is_dir():
        older = path / EARLIER_SUMMARY
        path = older if older.is_file() and not (path / SUMMARY).is_file() else path / SUMMARY
    return JudgeSummary.read(path)
