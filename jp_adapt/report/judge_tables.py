"""The summary of a judging as lines of text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jp_adapt.evaluation.judge.bradley_terry import Ranking
from jp_adapt.evaluation.judge.results import Calibration, JudgeSummary, ModelGrades, RankingCalibration, RecordedSummary
from jp_adapt.report import terminal

FIRST_FAILURES = 3  # reasons that are shown of judgements without a verdict


def judging_lines(summary: JudgeSummary) -> list[str]:
    """Grades or ranking, agreement and calibration, what it cost, and what has no verdict."""
    ranking = [] if summary.ranking is None else _ranking(summary.ranking)
    return [*_grades(summary.models), *ranking, *_calibration(summary.calibration), *_use(summary), *_failures(summary)]


def recorded_lines(summary: RecordedSummary) -> list[str]:
    """Grades, agreement and calibration of recorded judgements."""
    return [*_grades(summary.models), *_calibration(summary.calibration)]


def _grades(models: Sequence[ModelGrades]) -> list[str]:
    if not models:
        return []
    rows = [
        (entry.model, f"{entry.mean:.3f}", _number(entry.stderr), _interval(entry.interval, 2), f"{entry.items:,}", str(len(entry.takes))) for entry in models
    ]
    lines = [*_ratios(models), *terminal.table(("model", "mean", "± stderr", "95 % interval", "items", "takes"), rows)]
    for entry in models:
        if entry.agreement is not None:
            counts = ", ".join(f"{same} of {compared}" for same, compared in zip(entry.agreement.same, entry.agreement.compared, strict=True))
            lines.append(f"  {entry.model}: takes agree on {counts}; at most one apart {entry.agreement.within_one_share:.0%}")
        if entry.length_spearman is not None:
            lines.append(f"  {entry.model}: rank correlation of grades with the length of answers {entry.length_spearman:+.2f}")
    return lines


def _ratios(models: Sequence[ModelGrades]) -> list[str]:
    """Models beside the reference answers: the ratio, and that of each category."""
    known = {entry.model: entry.ratio for entry in models if entry.ratio is not None}
    categories = list(dict.fromkeys(name for ratio in known.values() for name in ratio.categories))
    rows = [
        (
            model,
            f"{ratio.value:.1f}",
            _number(ratio.stderr, 1),
            "–" if ratio.interval is None else _interval(ratio.interval, 1),
            *(f"{own.ratio:.1f}" if (own := ratio.categories.get(name)) is not None else "–" for name in categories),
        )
        for model, ratio in known.items()
    ]
    return terminal.table(("model", "% of reference", "± stderr", "95 % interval", *categories), rows) if rows else []


def _ranking(ranking: Ranking) -> list[str]:
    rows = [(entry.model, f"{entry.points:.0f}", _interval(entry.interval, 0), f"{entry.win_share:.1%}") for entry in ranking.strengths]
    lines = terminal.table(("model", "points", "95 % interval", "wins"), rows)
    if ranking.decided_by_order is not None:
        lines.append(f"  first place worth {ranking.first_place_advantage:+.0f} points; order decides {ranking.decided_by_order:.1%} of pairs")
    return lines


def _calibration(calibration: Mapping[str, Calibration] | RankingCalibration | None) -> list[str]:
    if calibration is None:
        return []
    if isinstance(calibration, RankingCalibration):
        correlations = f"Spearman {_number(calibration.spearman)}, Pearson {_number(calibration.pearson)}"
        return [f"  against the recorded ranking of {len(calibration.models)} models: {correlations}"]
    rows = [
        (
            model,
            f"{entry.same} of {entry.judgements}",
            _number(entry.kappa),
            _number(entry.pearson),
            _number(entry.mean_shift),
            _number(entry.length_spearman),
        )
        for model, entry in calibration.items()
    ]
    return terminal.table(("against the record", "same", "kappa", "Pearson", "mean shift", "shift with length"), rows)


def _use(summary: JudgeSummary) -> list[str]:
    usage = summary.usage
    cost = "cost unknown" if usage.cost is None or usage.fresh_cost is None else f"cost {usage.cost:.4f}, of this run {usage.fresh_cost:.4f}"
    unknown = f" ({usage.uncounted} answers came without a count)" if usage.uncounted else ""
    return [f"{usage.requests:,} requests ({usage.fresh_requests:,} now), {usage.tokens_in:,} tokens in, {usage.tokens_out:,} out{unknown}: {cost}"]


def _failures(summary: JudgeSummary) -> list[str]:
    lines = []
    if summary.asked_again:
        lines.append(f"{summary.asked_again} of {summary.judgements} judgements were asked for again: the first answer was not in the form asked for")
    if summary.without_verdict:
        why = "; ".join(sorted({str(failure.why) for failure in summary.failures})[:FIRST_FAILURES])
        lines.append(f"{summary.without_verdict} of {summary.judgements} judgements have no verdict: {why}")
    return lines + [f"no answer of {model} has a verdict" for model in summary.models_without_verdict]


def _interval(bounds: tuple[float, float], digits: int) -> str:
    return f"{bounds[0]:.{digits}f} to {bounds[1]:.{digits}f}"


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
