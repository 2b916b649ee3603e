"""From verdicts to figures: the summary of a judging, its calibration, and scores.json of each model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jp_adapt.benchmarks.judge import JudgeTask
from jp_adapt.core.errors import InputError
from jp_adapt.evaluation import statistics
from jp_adapt.evaluation.judge.bradley_terry import Game, Ranking, rank
from jp_adapt.evaluation.judge.recorded import read_ranking, read_recorded
from jp_adapt.evaluation.judge.results import Calibration, ModelGrades, RankingCalibration
from jp_adapt.evaluation.judge.run import Verdict
from jp_adapt.evaluation.judge.summary import Takes, by_item, calibrate, summarise
from jp_adapt.evaluation.metrics import labels
from jp_adapt.evaluation.results import BenchmarkScore, MetricScore, Output, Scores, write_outputs, write_scores

METRIC = "judge_score"


def grades_of(task: JudgeTask, verdicts: Sequence[Verdict]) -> list[ModelGrades]:
    """The grades of each model that has a verdict."""
    return summarise_takes(task, takes_of(verdicts), {entry.judgement.item: entry.judgement.category for entry in verdicts})


def ranking_of(verdicts: Sequence[Verdict]) -> Ranking | None:
    """The ranking of all models; None where no pair has a verdict."""
    games = [Game(v.judgement.item, v.judgement.models[0], v.judgement.models[1], v.score) for v in verdicts if v.score is not None]
    return rank(games) if games else None


def takes_of(verdicts: Sequence[Verdict]) -> list[Takes]:
    """The scores by model and take."""
    takes: dict[str, dict[int, dict[tuple[str, int], float]]] = {}
    lengths: dict[str, dict[tuple[str, int], int]] = {}
    for entry in verdicts:
        asked = entry.judgement
        lengths.setdefault(asked.models[0], {})[asked.item, asked.turn] = len(asked.answers[-1])
        own = takes.setdefault(entry.judgement.models[0], {}).setdefault(entry.take, {})
        if entry.score is not None:
            own[entry.judgement.item, entry.judgement.turn] = entry.score
    return [Takes(model, [scores for _, scores in sorted(by_take.items())], lengths[model]) for model, by_take in takes.items()]


def summarise_takes(task: JudgeTask, takes: Sequence[Takes], categories: Mapping[str, str]) -> list[ModelGrades]:
    """A summary for each model that has a verdict."""
    assert task.scale is not None
    return [summarise(replace(entry, scores=[take for take in entry.scores if take]), categories, task.scale) for entry in takes if any(entry.scores)]


def calibrate_ranking(ranking: Ranking, recorded: Path) -> RankingCalibration:
    """A ranking against a recorded one. InputError where fewer than two models stand in both."""
    theirs = read_ranking(recorded)
    ours = {entry.model: entry.points for entry in ranking.strengths}
    both = sorted(ours.keys() & theirs.keys())
    if len(both) < 2:
        raise InputError(f"{recorded}: fewer than two of the models {', '.join(sorted(ours))} stand there")
    pairs = [ours[name] for name in both], [theirs[name] for name in both]
    return RankingCalibration(both, spearman=labels.spearman(*pairs), pearson=labels.pearson(*pairs))


def calibrate_takes(task: JudgeTask, given: Sequence[Takes], recorded: Sequence[Path]) -> dict[str, Calibration]:
    """Agreement with recorded judgements, model by model (by name, or one with one), each by the mean of its takes."""
    assert task.scale is not None
    theirs = {entry.model: entry.item_means() for entry in read_recorded(recorded, task.benchmark, task.scale)}
    results: dict[str, Calibration] = {}
    for entry in given:
        other = theirs.get(entry.model) or (next(iter(theirs.values())) if len(theirs) == len(given) == 1 else None)
        if other is not None:
            results[entry.model] = calibrate(other, entry.item_means(), task.scale, entry.lengths)
    if not results:
        raise InputError(f"the recorded judgements are of {', '.join(sorted(theirs))}, and none of these is judged here")
    return results


def write_model_scores(folder: Path, task: JudgeTask, judge: Mapping[str, Any], model: str, verdicts: Sequence[Verdict], hashes: dict[str, str]) -> None:
    """scores.json and outputs.jsonl of one model, as every evaluation writes them, so that `jp-adapt eval compare` reads them."""
    own = [entry for entry in verdicts if entry.judgement.models == (model,)]
    takes = takes_of(own)[0]
    items = by_item(takes.item_means())
    if not items:
        return
    values = list(items.values())
    profile = f"judge:{judge['model']}"
    score = BenchmarkScore(
        id=task.benchmark,
        name=f"{task.benchmark}@{profile}/0-shot/{METRIC}",
        title=task.title,
        version=task.version,
        licence=task.license,
        source=task.source,
        revision=None,
        sha256=hashes,
        num_fewshot=0,
        items=len(items),
        primary_metric=METRIC,
        metrics={METRIC: MetricScore(sum(values) / len(values), statistics.mean_interval(values), statistics.standard_error(values))},
        chance=None,
        majority=None,
        warnings=[f"{count} judgements without a verdict"] if (count := sum(entry.score is None for entry in own)) else [],
        groups=_groups(own),
        scale=(float(task.scale[0]), float(task.scale[1])) if task.scale is not None else None,
    )
    folder.mkdir(exist_ok=True)
    write_scores(folder, Scores({"name": model}, profile, [score], environment={"judge": dict(judge)}))
    write_outputs(
        folder / "outputs.jsonl", [_output(task, item, [entry for entry in own if entry.judgement.item == item], score) for item, score in items.items()]
    )


def _groups(verdicts: Sequence[Verdict]) -> dict[str, dict[str, float | None]]:
    """The mean of each category and of each turn."""
    groups: dict[str, list[float]] = {}
    for entry in verdicts:
        for name in (entry.judgement.category, f"turn {entry.judgement.turn}"):
            if name and entry.score is not None:
                groups.setdefault(name, []).append(entry.score)
    return {name: {METRIC: sum(scores) / len(scores)} for name, scores in groups.items()}


def _output(task: JudgeTask, item: str, verdicts: Sequence[Verdict], score: float) -> Output:
    """An item as every evaluation writes it: the question, the answer, and in `prediction` what the judge said."""
    last = max(verdicts, key=lambda entry: entry.judgement.turn).judgement
    said = [{"turn": entry.judgement.turn, "take": entry.take, "score": entry.score, "judgement": entry.text} for entry in verdicts]
    answer = "\n\n".join(last.answers)
    asked = last.question + (f"\n\n採点の観点：\n{last.criteria}" if last.criteria else "")
    return Output(task.benchmark, item, last.category, asked, None, None, answer, said, last.reference or None, {METRIC: score})
