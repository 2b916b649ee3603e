"""The score of a benchmark from its items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jp_adapt.benchmarks.benchmark import Protocol
from jp_adapt.benchmarks.items import LoadedBenchmark
from jp_adapt.benchmarks.metrics import METRICS
from jp_adapt.benchmarks.profiles import score_name
from jp_adapt.evaluation.results import Asking, BenchmarkScore, MetricScore, Output, PartScore, PromptSet, TouchedScores
from jp_adapt.evaluation.scoring import alarms, chance, majority, metric_score

CUT_SHARE = 0.05  # of answers that their budget ended, from which it is a warning
TOUCHED_FROM = 0.5  # share of an item's text that a training corpus holds, from which the item counts as touched


def score_benchmark(
    loaded: LoadedBenchmark,
    profile: str,
    protocol: Protocol,
    outputs: Sequence[Output],
    overlap: Mapping[str, float] | None = None,
    asking: Asking | None = None,
) -> BenchmarkScore:
    """Every metric of a benchmark. `overlap` says for each item how much of its text stands in a training corpus, 0 to 1."""
    benchmark, primary = loaded.benchmark, protocol.primary_metric
    macro, named = benchmark.averages_groups(protocol), (*protocol.metrics, *_of_samples(outputs, protocol))
    metrics: dict[str, MetricScore] = {metric: metric_score(metric, outputs, protocol, macro) for metric in named}
    groups: dict[str, list[Output]] = {}
    for output in outputs:
        groups.setdefault(output.group, []).append(output)
    touched = None if overlap is None else touched_scores(outputs, protocol, overlap)
    warnings = alarms(outputs) + [_undefined(metric) for metric, score in metrics.items() if score.value is None]
    if macro and 1 < len(outputs) == len(groups):
        warnings.append(f"no interval: each of the {len(groups)} groups has one item; --limit {2 * len(groups)} measures two of each")
    if _is_chat(loaded, profile, protocol):
        warnings += cut_warning(outputs)
    if touched is not None and touched.items:
        warnings.append(f"contamination: {touched.items} of {len(outputs)} items stand in the training corpus; see their scores apart")
    if loaded.changed:
        warnings.append(f"data: {', '.join(loaded.changed)} is not the file that the declaration was made with; scores of other data are not comparable")
    return BenchmarkScore(
        id=loaded.id,
        name=score_name(loaded.id, profile, protocol.shots, primary, asking.samples if asking is not None and asking.temperature else 0),
        title=benchmark.title,
        version=benchmark.version,
        licence=benchmark.license + (f" ({benchmark.license_note})" if benchmark.license_note else ""),
        source=benchmark.source,
        revision=benchmark.revision,
        sha256=loaded.sha256,
        num_fewshot=protocol.shots,
        items=len(outputs),
        primary_metric=primary,
        metrics=metrics,
        chance=chance(primary, outputs),
        majority=majority(primary, outputs, protocol),
        warnings=warnings,
        moved_boundaries=sum(output.moved_boundary for output in outputs),
        truncated_items=sum(output.truncated_tokens > 0 for output in outputs),
        groups={group: _values(members, protocol) for group, members in groups.items()} if len(groups) > 1 else {},
        touched=touched,
        data="" if loaded.changed is None else "changed" if loaded.changed else "known",
        note=protocol.note,
        cut_answers=sum(answer.cut for output in outputs for answer in output.answers),
        asking=asking,
    )


def _undefined(metric: str) -> str:
    of_scores = metric in METRICS and METRICS[metric].whole_of == "scores"
    return f"{metric} is not defined: " + ("no answer here counts in it" if of_scores else "the answers are all the same")


def _of_samples(outputs: Sequence[Output], protocol: Protocol) -> list[str]:
    """Scores that only several answers to an item have (`samples.combined`)."""
    return [name for name in outputs[0].scores if name not in protocol.metrics] if outputs and outputs[0].samples else []


def _is_chat(loaded: LoadedBenchmark, profile: str, protocol: Protocol) -> bool:
    """Whether a model ends its answers by itself: one that continues a text may go on for ever, and is cut every time."""
    return (protocol.kind or loaded.benchmark.kind) == "judge" or loaded.benchmark.rules(profile).chat


def cut_warning(outputs: Sequence[Output]) -> list[str]:
    """That many answers were cut, and what helps."""
    answers = [answer for output in outputs for answer in output.answers]
    cut = [answer for answer in answers if answer.cut]
    if len(cut) <= CUT_SHARE * len(answers):
        return []
    within = sum(answer.thought is not None and not answer.generation for answer in cut)
    where = f", {within} of them within their thought; --thought-tokens gives it more room" if within else ""
    return [f"cut: {len(cut)} of {len(answers)} answers were cut by their budget{where}"]


def _values(outputs: Sequence[Output], protocol: Protocol) -> dict[str, float | None]:
    return {metric: metric_score(metric, outputs, protocol).value for metric in protocol.metrics}


def touched_scores(outputs: Sequence[Output], protocol: Protocol, overlap: Mapping[str, float]) -> TouchedScores:
    """Scores of the items that a training corpus holds, and of the others."""
    touched = [output for output in outputs if overlap.get(output.item, 0.0) >= TOUCHED_FROM]
    clean = [output for output in outputs if overlap.get(output.item, 0.0) < TOUCHED_FROM]
    scores = [PartScore(len(members), _values(members, protocol)) if members else None for members in (touched, clean)]
    return TouchedScores(len(touched), TOUCHED_FROM, [output.item for output in touched], *scores)


def prompt_set(scores: Mapping[str, BenchmarkScore]) -> PromptSet:
    """Mean and range of the primary metric over the wordings of a prompt; the first of them is the protocol's own."""
    primary = next(iter(scores.values())).primary_metric
    values = {name: score.metrics[primary].value for name, score in scores.items()}
    known = [value for value in values.values() if value is not None]
    return PromptSet(primary, sum(known) / len(known) if known else None, (min(known), max(known)) if known else None, values)
