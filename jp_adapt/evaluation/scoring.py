"""From items to figures: every metric with its interval, chance and majority beside it, and alarms for answers that cannot be meant."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jp_adapt.benchmarks.benchmark import Protocol
from jp_adapt.evaluation.metrics import harness, labels, strings, texts
from jp_adapt.evaluation.results import MetricScore, Output
from jp_adapt.evaluation.statistics import wilson_interval
from jp_adapt.text.normalise import normalise

RESAMPLES = 1000
NO_NUMBER = -2.0  # llm-jp-eval's value for an answer without a number, kept so that such answers count against a model
DOMINANT_SHARE = 0.9
LEAST_ALARMING = 10  # items, from which one answer to nearly all of them is an alarm

# An answer against one right answer; the best over all right answers counts.
STRING_METRICS: dict[str, Callable[[str, str], float]] = {
    "exact_match": strings.exact_match,
    "f1": strings.word_f1,
    "char_f1": strings.char_f1,
    "llm_jp_char_f1": strings.llm_jp_char_f1,
    "flexeval_char_f1": strings.flexeval_char_f1,
    "jasquad_exact_match": harness.jasquad_exact_match,
    "jasquad_f1": harness.jasquad_f1,
    "lm_eval_exact_match": strings.lm_eval_exact_match,
    "number_match": strings.number_match,
    "harness_number_match": strings.harness_number_match,
}
FIRST_ANSWER_ONLY = frozenset({"lm_eval_exact_match"})
LABEL_METRICS: dict[str, Callable[[Sequence[Any], Sequence[Any]], float]] = {
    "balanced_accuracy": labels.balanced_accuracy,
    "macro_f1": labels.macro_f1,
    "mcc": labels.mcc,
}
CORRELATIONS = {"pearson": labels.pearson, "spearman": labels.spearman}
SHARES = frozenset(
    {"accuracy", "accuracy_per_char", "exact_match", "jasquad_exact_match", "lm_eval_exact_match", "number_match", "harness_number_match", "pass@1", "answered"}
)


def item_scores(output: Output, protocol: Protocol, answers: Sequence[str]) -> dict[str, float | None]:
    """The metrics of one item. Those of the whole set (correlations, MCC, BLEU) have the item's part in it: a number, or whether it is right."""
    if output.log_likelihoods is not None:
        per_char = [value / max(1, len(choice)) for value, choice in zip(output.log_likelihoods, output.choices or [], strict=True)]
        right = float(output.prediction == output.gold)
        right_per_char = float(max(range(len(per_char)), key=per_char.__getitem__) == output.gold)
        return {metric: right_per_char if metric == "accuracy_per_char" else right for metric in protocol.metrics}
    prediction = normalise(output.prediction, protocol.normalise)
    golds = [normalise(answer, protocol.normalise) for answer in answers]
    return {metric: _string_score(metric, prediction, golds, protocol) for metric in protocol.metrics}


def _string_score(metric: str, prediction: str, golds: Sequence[str], protocol: Protocol) -> float:
    if metric in STRING_METRICS:
        return strings.best(STRING_METRICS[metric], prediction, golds[:1] if metric in FIRST_ANSWER_ONLY else golds)
    if metric in ("rouge1", "rouge2", "rougeL"):
        return max(texts.rouge(prediction, gold, metric, protocol.language or "ja") for gold in golds)
    if metric == "harness_rouge2":
        return max(texts.rouge(prediction, gold, "rouge2", "harness") for gold in golds)
    if metric == "bleu":
        return texts.sentence_bleu(prediction, golds[0], protocol.language or "ja")
    if metric == "chrf":
        return texts.sentence_chrf(prediction, golds[0])
    assert metric in CORRELATIONS
    return as_number(prediction)


def as_number(text: str) -> float:
    """The number that a text is, everything but digits and the dot away."""
    try:
        return float(re.sub(r"[^0-9.]", "", text))
    except ValueError:
        return NO_NUMBER


def metric_score(metric: str, outputs: Sequence[Output], protocol: Protocol, macro: bool = False) -> MetricScore:
    """A metric over all items: the value, a 95 % interval (Wilson for a share, else bootstrap over items), the standard error."""
    if macro:
        groups: dict[str, list[Output]] = {}
        for output in outputs:
            groups.setdefault(output.group, []).append(output)
        values = [_value(metric, members, protocol) for members in groups.values()]
        known = [value for value in values if value is not None]
        return MetricScore(float(np.mean(known)) if known else None, *_bootstrap_groups(metric, list(groups.values())))
    value = _value(metric, outputs, protocol)
    if value is None:
        return MetricScore(None)
    if metric in SHARES:
        correct = round(sum(output.scores[metric] or 0.0 for output in outputs))
        return MetricScore(value, wilson_interval(correct, len(outputs)), float(np.sqrt(value * (1 - value) / len(outputs))))
    return MetricScore(value, *_bootstrap(metric, outputs, protocol))


def _value(metric: str, outputs: Sequence[Output], protocol: Protocol) -> float | None:
    if metric in LABEL_METRICS:
        return LABEL_METRICS[metric](*_label_texts(outputs))
    if metric in CORRELATIONS:
        return CORRELATIONS[metric](*_numbers(outputs, metric))
    if metric in ("bleu", "chrf"):
        given = [normalise(str(output.prediction), protocol.normalise) for output in outputs]
        references = [normalise(str(output.gold[0]), protocol.normalise) for output in outputs]
        return texts.bleu(given, references, protocol.language or "ja") if metric == "bleu" else texts.chrf(given, references)
    return float(np.mean([output.scores[metric] or 0.0 for output in outputs]))


def _label_texts(outputs: Sequence[Output]) -> tuple[list[Any], list[Any]]:
    """(given, right) labels: the positions of the choices, which are the same for all items where these metrics make sense."""
    return [output.prediction for output in outputs], [output.gold for output in outputs]


def _numbers(outputs: Sequence[Output], metric: str) -> tuple[list[float], list[float]]:
    """(given, right) numbers of a correlation."""
    return [output.scores[metric] or 0.0 for output in outputs], [as_number(str(output.gold[0])) for output in outputs]


def _bootstrap(metric: str, outputs: Sequence[Output], protocol: Protocol) -> tuple[tuple[float, float] | None, float | None]:
    generator = np.random.default_rng(0)
    count = len(outputs)
    if metric in LABEL_METRICS or metric in CORRELATIONS:
        given, gold = _numbers(outputs, metric) if metric in CORRELATIONS else _label_texts(outputs)
        values = labels.resampled(metric, given, gold, generator.integers(0, count, (RESAMPLES, count)))
        known = values[~np.isnan(values)]
    else:  # means of items; BLEU and chrF by the mean of their sentences, whose spread stands in for theirs
        items = np.array([output.scores[metric] or 0.0 for output in outputs])
        known = items[generator.integers(0, count, (RESAMPLES, count))].mean(axis=1)
        if metric in ("bleu", "chrf"):
            known = known - items.mean() + (_value(metric, outputs, protocol) or 0.0)
    return _interval(known)


def _bootstrap_groups(metric: str, groups: Sequence[Sequence[Output]]) -> tuple[tuple[float, float] | None, float | None]:
    """Interval of the mean of group means: items are resampled within their group."""
    generator = np.random.default_rng(0)
    means = []
    for members in groups:
        items = np.array([output.scores[metric] or 0.0 for output in members])
        means.append(items[generator.integers(0, len(items), (RESAMPLES, len(items)))].mean(axis=1))
    return _interval(np.mean(means, axis=0))


def _interval(values: Any) -> tuple[tuple[float, float] | None, float | None]:
    if len(values) == 0:
        return None, None
    low, high = np.percentile(values, [2.5, 97.5])
    return (float(low), float(high)), float(np.std(values))


def chance(metric: str, outputs: Sequence[Output]) -> float | None:
    """Expected value of a metric for a uniform guess among the choices; None where there are none."""
    if not outputs or outputs[0].choices is None:
        return None
    if metric == "mcc":
        return 0.0
    return float(np.mean([1 / len(output.choices or [0]) for output in outputs]))


def majority(metric: str, outputs: Sequence[Output], protocol: Protocol) -> float | None:
    """Value of a metric for the answer that is right most often, given every time; None where a metric has no such answer."""
    if not outputs or outputs[0].choices is None or metric == "accuracy_per_char":
        return None
    gold = [output.gold for output in outputs]
    constant = [Counter(gold).most_common(1)[0][0]] * len(gold)
    if metric in LABEL_METRICS:
        return LABEL_METRICS[metric](constant, gold)
    return float(np.mean([given == right for given, right in zip(constant, gold, strict=True)]))


def alarms(outputs: Sequence[Output]) -> list[str]:
    """What in the answers says that the score is not a measure of the task: one label always, one text always, empty answers, swapped labels."""
    if len(outputs) < LEAST_ALARMING:
        return []
    found, choices = [f"degenerate: {alarm}" for alarm in degenerate(outputs)], outputs[0].choices
    if choices is None:
        empty = sum(not _given(output).strip() for output in outputs)
        return found or ([f"degenerate: {empty} of {len(outputs)} answers are empty"] if empty > 0.1 * len(outputs) else [])
    return found + (_swapped(*_label_texts(outputs), choices) if all(output.choices == choices for output in outputs) else [])


def degenerate(outputs: Sequence[Output]) -> list[str]:
    """What a model does on nearly every item, whatever is asked: one label, one text, nothing. Said of the model: "answers ... on 12 of 12 items"."""
    if len(outputs) < LEAST_ALARMING:
        return []
    return _one_text(outputs) if outputs[0].choices is None else _one_label(outputs)


def _one_text(outputs: Sequence[Output]) -> list[str]:
    text, count = Counter(_given(output).strip() for output in outputs).most_common(1)[0]
    right = Counter(answer for output in outputs if isinstance(output.gold, list) for answer in {str(answer) for answer in output.gold})
    if count <= DOMINANT_SHARE * len(outputs) or count <= max(right.values(), default=0):
        return []
    return [f"answers {text[:30]!r} on {count} of {len(outputs)} items" if text else f"leaves {count} of {len(outputs)} answers empty"]


def _given(output: Output) -> str:
    """The text that was taken for the answer; of a judged answer, all of it."""
    return output.prediction if isinstance(output.prediction, str) else output.generation or ""


def _one_label(outputs: Sequence[Output]) -> list[str]:
    given, gold = _label_texts(outputs)
    choices = outputs[0].choices or []
    shared = all(output.choices == choices for output in outputs)
    label, count = Counter(given).most_common(1)[0]
    name = repr(choices[label]) if shared else f"position {label + 1}"
    share_right = gold.count(label) / len(gold)
    plausible = max(DOMINANT_SHARE, share_right + 3 * float(np.sqrt(0.25 / len(gold))))  # where one label is right nearly always, it is no alarm
    constant = count == len(given) and len(set(gold)) > 1
    if constant or count > plausible * len(given) or (not shared and count > 2 * len(given) / len(choices)):
        return [f"answers {name} on {count} of {len(given)} items; that alone scores {share_right:.4f}"]
    return []


def _swapped(given: Sequence[int], gold: Sequence[int], choices: Sequence[str]) -> list[str]:
    """Two labels exchanged: the answers agree with the right ones far better when the two names are swapped."""
    accuracy = sum(g == r for g, r in zip(given, gold, strict=True)) / len(gold)
    margin = 3 * np.sqrt(0.25 / len(gold))  # three standard errors of a share, at most
    best: tuple[float, int, int] | None = None
    for a in range(len(choices)):
        for b in range(a + 1, len(choices)):
            swap = {a: b, b: a}
            value = sum(swap.get(g, g) == r for g, r in zip(given, gold, strict=True)) / len(gold)
            if value > accuracy + margin and len({g for g in given if g in swap}) == 2 and (best is None or value > best[0]):
                best = value, a, b
    if best is None:
        return []
    value, a, b = best
    return [f"swapped labels? accuracy is {accuracy:.3f}, and {value:.3f} with {choices[a]!r} and {choices[b]!r} exchanged"]
