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
from jp_adapt.evaluation.judge.ratio import ratio_of
from jp_adapt.evaluation.judge.recorded import read_ranking, read_recorded
from jp_adapt.evaluation.judge.results import Calibration, ModelGrades, RankingCalibration, RatioScore
from jp_adapt.evaluation.judge.run import Verdict
from jp_adapt.evaluation.judge.summary import Key, Takes, by_item, calibrate, summarise
from jp_adapt.evaluation.metrics import labels
from jp_adapt.evaluation.metrics.relative import JUDGE_RATIO, JUDGE_REFERENCE, JUDGE_SCORE
from jp_adapt.evaluation.results import BenchmarkScore, MetricScore, Output, Scores, write_outputs, write_scores


def grades_of(task: JudgeTask, verdicts: Sequence[Verdict]) -> list[ModelGrades]:
    """The grades of each model that has a verdict."""
    return summarise_takes(task, takes_of(verdicts))


def ranking_of(verdicts: Sequence[Verdict]) -> Ranking | None:
    """The ranking of all models; None where no pair has a verdict."""
    games = [Game(v.judgement.item, v.judgement.models[0], v.judgement.models[1], v.score) for v in verdicts if v.score is not None]
    return rank(games) if games else None


def takes_of(verdicts: Sequence[Verdict]) -> list[Takes]:
    """The scores by model and take."""
    takes: dict[str, dict[int, list[Verdict]]] = {}
    for entry in verdicts:
        takes.setdefault(entry.judgement.models[0], {}).setdefault(entry.take, []).append(entry)
    return [_takes(model, [given for _, given in sorted(by_take.items())]) for model, by_take in takes.items()]


def _takes(model: str, takes: Sequence[Sequence[Verdict]]) -> Takes:
    asked = [(_key(entry), entry.judgement) for take in takes for entry in take]
    scores = [{_key(entry): entry.score for entry in take if entry.score is not None} for take in takes]
    references = [{_key(entry): entry.reference_score for entry in take if entry.reference_score is not None} for take in takes]
    lengths, categories = {key: len(asking.answers[-1]) for key, asking in asked}, {asking.item: asking.category for _, asking in asked}
    return Takes(model, scores, lengths, references if any(references) else [], categories)


def _key(verdict: Verdict) -> Key:
    return verdict.judgement.item, verdict.judgement.turn


def summarise_takes(task: JudgeTask, takes: Sequence[Takes]) -> list[ModelGrades]:
    """A summary for each model that has a verdict."""
    assert task.scale is not None
    summaries = []
    for entry in takes:
        judged = replace(entry, scores=[take for take in entry.scores if take], references=[take for take in entry.references if take])
        if judged.scores:
            summaries.append(replace(summarise(judged, task.scale), ratio=ratio_of(judged) if judged.references else None))
    return summaries


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
    theirs = {entry.model: entry.item_means() for entry in read_recorded(recorded, task)}
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
    [takes] = takes_of(own)
    summaries = summarise_takes(task, [takes])
    if not summaries:
        return
    ratio, items = summaries[0].ratio, _item_scores(takes)
    metrics = {name: _mean_score([scores[name] for scores in items.values()]) for name in (JUDGE_SCORE, JUDGE_REFERENCE) if name in next(iter(items.values()))}
    if ratio is not None:
        metrics[JUDGE_RATIO] = MetricScore(ratio.value, ratio.interval, ratio.stderr)
    primary = JUDGE_SCORE if ratio is None else JUDGE_RATIO
    profile = f"{task.profile}:{judge['model']}"
    score = BenchmarkScore(
        id=task.benchmark,
        name=f"{task.benchmark}@{profile}/0-shot/{primary}",
        title=task.title,
        version=task.version,
        licence=task.license,
        source=task.source,
        revision=None,
        sha256=hashes,
        num_fewshot=0,
        items=len(items),
        primary_metric=primary,
        metrics=metrics,
        chance=None,
        majority=None,
        warnings=_warnings(own),
        groups=_groups(own) if ratio is None else _ratio_groups(ratio),
        scale=(float(task.scale[0]), float(task.scale[1])) if task.scale is not None and ratio is None else None,
    )
    folder.mkdir(exist_ok=True)
    write_scores(folder, Scores({"name": model}, profile, [score], environment={"judge": dict(judge)}))
    write_outputs(
        folder / "outputs.jsonl", [_output(task, item, [entry for entry in own if entry.judgement.item == item], scores) for item, scores in items.items()]
    )


def _warnings(verdicts: Sequence[Verdict]) -> list[str]:
    """How many judgements have no verdict, and the categories of which none has one: a mean over the categories is one of the others."""
    failed = sum(entry.score is None for entry in verdicts)
    judged = {entry.judgement.category for entry in verdicts if entry.score is not None}
    missing = dict.fromkeys(entry.judgement.category for entry in verdicts if entry.judgement.category not in judged)
    return [f"{failed} judgements without a verdict"] * (failed > 0) + [f"no verdict in category '{name}'" for name in missing]


def _item_scores(takes: Takes) -> dict[str, dict[str, float]]:
    """The means over turns and takes of each item: its grade, and where the reference answer has one too, that one and 100 x their ratio."""
    scores, references = by_item(takes.item_means()), by_item(takes.reference_means())
    if not references:
        return {item: {JUDGE_SCORE: score} for item, score in scores.items()}
    return {item: {JUDGE_RATIO: 100 * score / references[item], JUDGE_SCORE: score, JUDGE_REFERENCE: references[item]} for item, score in scores.items()}


def _mean_score(values: Sequence[float]) -> MetricScore:
    return MetricScore(sum(values) / len(values), statistics.mean_interval(values), statistics.standard_error(values))


def _groups(verdicts: Sequence[Verdict]) -> dict[str, dict[str, float | None]]:
    """The mean of each category and of each turn."""
    groups: dict[str, list[float]] = {}
    for entry in verdicts:
        for name in (entry.judgement.category, f"turn {entry.judgement.turn}"):
            if name and entry.score is not None:
                groups.setdefault(name, []).append(entry.score)
    return {name: {JUDGE_SCORE: sum(scores) / len(scores)} for name, scores in groups.items()}


def _ratio_groups(ratio: RatioScore) -> dict[str, dict[str, float | None]]:
    return {name: {JUDGE_RATIO: own.ratio, JUDGE_SCORE: own.score, JUDGE_REFERENCE: own.reference} for name, own in ratio.categories.items()}


def _output(task: JudgeTask, item: str, verdicts: Sequence[Verdict], scores: Mapping[str, float]) -> Output:
    """An item as every evaluation writes it: the question, the answer, and in `prediction` what the judge said."""
    last = max(verdicts, key=lambda entry: entry.judgement.turn).judgement
    said = [_said(entry) for entry in verdicts]
    answer = "\n\n".join(last.answers)
    shown = (("画像の説明", last.context), ("採点の観点", last.criteria))
    asked = last.question + "".join(f"\n\n{name}：\n{text}" for name, text in shown if text)
    return Output(task.benchmark, item, last.category, asked, None, None, answer, said, last.reference or None, dict(scores))


def _said(verdict: Verdict) -> dict[str, Any]:
    reference = {} if verdict.reference_score is None else {"reference_score": verdict.reference_score}
    return {"turn": verdict.judgement.turn, "take": verdict.take, "score": verdict.score, **reference, "judgement": verdict.text}
