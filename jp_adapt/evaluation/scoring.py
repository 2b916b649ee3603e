"""From items to figures: every metric with its interval, chance and majority beside it, and alarms for answers that cannot be meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jp_adapt.benchmarks.benchmark import Protocol
from jp_adapt.benchmarks.metrics import METRICS, Metric
from jp_adapt.evaluation.extract import extract
from jp_adapt.evaluation.metrics import labels
from jp_adapt.evaluation.metrics.functions import item_function, over_scores, scored_function, whole_function
from jp_adapt.evaluation.results import MetricScore, Output
from jp_adapt.evaluation.statistics import Bootstrap, bootstrap, wilson_interval
from jp_adapt.inference.answer import Encode
from jp_adapt.text.normalise import normalise
from jp_adapt.text.numerals import first_number

RESAMPLES = 1000
NO_NUMBER = -2.0  # llm-jp-eval's value for an answer without a number, kept so that such answers count against a model
DOMINANT_SHARE = 0.9
MEAN = Metric("texts")  # of scores that only several answers to an item have (`samples`)
LEAST_ALARMING = 10  # items, from which one answer to nearly all of them is an alarm


def choice_scores(output: Output, protocol: Protocol, scored_by: Any = None) -> dict[str, float | None]:
    """The metrics of one item of which a choice was taken. Those of the whole set (MCC) have the item's part in it: whether it is right."""
    return {metric: _choice_score(metric, output, scored_by) for metric in protocol.metrics}


def score_text(
    text: str, protocol: Protocol, answers: Sequence[str], scored_by: Any = None, encode: Encode | None = None
) -> tuple[str, dict[str, float | None]]:
    """The answer in a generated text, and its metrics: the budget in characters first, then the steps of `extract`, then the normalisers, then the metrics.

    `encode` is the model's tokenizer, for metrics that count its tokens.

    Everything that scores a generated text comes here: `jp-adapt eval` on any backend, and the tasks exported to lm-eval.
    """
    answer = extract(text if protocol.max_chars is None else text[: protocol.max_chars], protocol.extract)
    return answer, answer_scores(answer, protocol, answers, scored_by, encode)


def answer_scores(answer: str, protocol: Protocol, answers: Sequence[str], scored_by: Any = None, encode: Encode | None = None) -> dict[str, float | None]:
    """The metrics of an extracted answer. Those of the whole set (correlations, BLEU) have the item's part in it: a number, or the score of the sentence."""
    normal, golds = normalise(answer, protocol.normalise), [normalise(gold, protocol.normalise) for gold in answers]
    as_written = {metric for metric in protocol.metrics if METRICS[metric].as_written or METRICS[metric].checks}
    return {
        metric: scored_function(metric)(answer, scored_by)
        if METRICS[metric].scored_by
        else _text_score(metric, answer, answers, protocol, encode)
        if metric in as_written
        else _text_score(metric, normal, golds, protocol, encode)
        for metric in protocol.metrics
    }


def _choice_score(metric: str, output: Output, scored_by: Any) -> float | None:
    if METRICS[metric].item is None:
        return float(output.prediction == output.gold)
    if METRICS[metric].scored_by:
        return scored_function(metric)(output.prediction, scored_by)
    return item_function(metric)(output.log_likelihoods, output.choices, output.gold)


def _text_score(metric: str, prediction: str, golds: Sequence[str], protocol: Protocol, encode: Encode | None) -> float:
    facts = METRICS[metric]
    if facts.whole_of == "numbers":
        return as_number(prediction)
    if facts.checks:
        return item_function(metric)(prediction, golds)
    score = partial(item_function(metric), **_language(metric, protocol), **({"encode": encode} if facts.by_tokens else {}))
    return max(score(prediction, gold) for gold in (golds[:1] if facts.first_answer else golds))


def _language(metric: str, protocol: Protocol) -> dict[str, str]:
    return {"language": protocol.language or "ja"} if METRICS[metric].by_language else {}


def as_number(text: str) -> float:
    """The first number of a text, NO_NUMBER where there is none."""
    number = first_number(text)
    return NO_NUMBER if number is None else float(number.value)


def metric_score(metric: str, outputs: Sequence[Output], protocol: Protocol, macro: bool = False) -> MetricScore:
    """A metric over all items: the value, a 95 % interval (Wilson for a share, else bootstrap over items), the standard error."""
    if macro:
        groups: dict[str, list[Output]] = {}
        for output in outputs:
            groups.setdefault(output.group, []).append(output)
        values = [_value(metric, members, protocol) for members in groups.values()]
        known = [value for value in values if value is not None]
        spread = _bootstrap_groups(metric, list(groups.values()))
        return MetricScore(float(np.mean(known)) if known else None, spread.interval, spread.stderr)
    value = _value(metric, outputs, protocol)
    if value is None:
        return MetricScore(None)
    if _facts(metric).share and not outputs[0].samples:
        correct = round(sum(output.scores[metric] or 0.0 for output in outputs))
        return MetricScore(value, wilson_interval(correct, len(outputs)), float(np.sqrt(value * (1 - value) / len(outputs))))
    spread = _bootstrap(metric, outputs, protocol)
    return MetricScore(value, spread.interval, spread.stderr)


def _facts(metric: str) -> Metric:
    return METRICS.get(metric, MEAN)


def _value(metric: str, outputs: Sequence[Output], protocol: Protocol) -> float | None:
    match _facts(metric).whole_of:
        case None:
            return float(np.average([output.scores[metric] or 0.0 for output in outputs], weights=item_weights(metric, outputs)))
        case "labels":
            return whole_function(metric)(*_label_texts(outputs))
        case "numbers":
            return whole_function(metric)(*_numbers(outputs, metric))
        case "scores":
            value = float(over_scores(metric)(_known_scores(outputs, metric)))
            return None if np.isnan(value) else value
        case "texts":
            given = [normalise(str(output.prediction), protocol.normalise) for output in outputs]
            references = [normalise(str(output.gold[0]), protocol.normalise) for output in outputs]
            return whole_function(metric)(given, references, **_language(metric, protocol))


def item_weights(metric: str, outputs: Sequence[Output]) -> list[float]:
    """How much each item counts in the mean; the mean of the weights is 1."""
    numbers = [len(output.gold) if _facts(metric).weighted and isinstance(output.gold, list) else 1 for output in outputs]
    return [number * len(numbers) / sum(numbers) for number in numbers]


def _label_texts(outputs: Sequence[Output]) -> tuple[list[Any], list[Any]]:
    """(given, right) labels: the positions of the choices, which are the same for all items where these metrics make sense."""
    return [output.prediction for output in outputs], [output.gold for output in outputs]


def _numbers(outputs: Sequence[Output], metric: str) -> tuple[list[float], list[float]]:
    """(given, right) numbers of a correlation."""
    return [output.scores[metric] or 0.0 for output in outputs], [as_number(str(output.gold[0])) for output in outputs]


def _known_scores(outputs: Sequence[Output], metric: str) -> NDArray[np.float64]:
    """The item's scores, NaN where an item has none. Shape: [N]."""
    return np.array([np.nan if (score := output.scores[metric]) is None else score for output in outputs])


def _bootstrap(metric: str, outputs: Sequence[Output], protocol: Protocol) -> Bootstrap:
    """Of a metric over resampled items; that of whole texts (BLEU, chrF) moves with the mean of their sentences, whose spread stands in for theirs."""
    whole_of = _facts(metric).whole_of
    if whole_of in ("labels", "numbers"):
        given, gold = _numbers(outputs, metric) if whole_of == "numbers" else _label_texts(outputs)
        return _resampled(lambda drawn: labels.resampled(metric, given, gold, drawn), [len(outputs)])
    if whole_of == "scores":
        known, whole = _known_scores(outputs, metric), over_scores(metric)
        return _resampled(lambda drawn: whole(known[drawn]), [len(outputs)])
    items, weights = np.array([output.scores[metric] or 0.0 for output in outputs]), np.array(item_weights(metric, outputs))
    shift = (_value(metric, outputs, protocol) or 0.0) - items.mean() if whole_of == "texts" else 0.0
    return _resampled(lambda drawn: (items * weights)[drawn].mean(axis=-1) / weights[drawn].mean(axis=-1) + shift, [len(outputs)])


def _bootstrap_groups(metric: str, groups: Sequence[Sequence[Output]]) -> Bootstrap:
    """Of the mean of group means: items are resampled within their group."""
    scores = [np.array([output.scores[metric] or 0.0 for output in members]) for members in groups]
    return _resampled(lambda *drawn: np.mean([items[entry].mean(axis=-1) for items, entry in zip(scores, drawn, strict=True)], axis=0), list(map(len, groups)))


def _resampled(statistic: Callable[..., Any], sizes: Sequence[int]) -> Bootstrap:
    """None where no resample differs from another, as of one item a group: that says nothing of the spread, and is no interval without width."""
    spread = bootstrap(statistic, sizes, np.random.default_rng(0), RESAMPLES)
    return Bootstrap(None, None) if spread.interval is None or spread.interval[0] == spread.interval[1] else spread


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
    if METRICS[metric].whole_of == "labels":
        return whole_function(metric)(constant, gold)
    return float(np.mean([given == right for given, right in zip(constant, gold, strict=True)]))


def alarms(outputs: Sequence[Output]) -> list[str]:
    """What in the answers says that the score is not a measure of the task: one label always, one text always, empty answers, swapped labels."""
    if len(outputs) < LEAST_ALARMING:
        return []
    results, choices = [f"degenerate: {alarm}" for alarm in degenerate(outputs)], outputs[0].choices
    if choices is None:
        empty = sum(not _given(output).strip() for output in outputs)
        return results or ([f"degenerate: {empty} of {len(outputs)} answers are empty"] if empty > 0.1 * len(outputs) else [])
    return results + (_swapped(*_label_texts(outputs), choices) if all(output.choices == choices for output in outputs) else [])


def degenerate(outputs: Sequence[Output]) -> list[str]:
    """What a model does on nearly every item, whatever is asked: one label, one text, nothing. Said of the model: "answers ... on 12 of 12 items"."""
    if len(outputs) < LEAST_ALARMING:
        return []
    labels = all(type(output.prediction) is int and 0 <= output.prediction < len(output.choices or ()) for output in outputs)
    return _one_label(outputs) if labels else _one_text(outputs)


def _one_text(outputs: Sequence[Output]) -> list[str]:
    text, count = Counter(_given(output).strip() for output in outputs).most_common(1)[0]
    right = Counter(answer for output in outputs if isinstance(output.gold, list) for answer in {str(answer) for answer in output.gold})
    if count <= DOMINANT_SHARE * len(outputs) or count <= max(right.values(), default=0):
        return []
    return [f"answers {text[:30]!r} on {count} of {len(outputs)} items" if text else f"leaves {count} of {len(outputs)} answers empty"]


def _given(output: Output) -> str:
    """The text that was taken for the answer; of a judged answer, all of it."""
    return output.prediction if isinstance(output.prediction, str) else str(output.prediction) if output.generation is None else output.generation


def _one_label(outputs: Sequence[Output]) -> list[str]:
    given, gold = _label_texts(outputs)
    choices = outputs[0].choices or []
    shared = all(output.choices == choices for output in outputs)
    label, count = Counter(given).most_common(1)[0]
    name = repr(choices[label]) if shared else f"position {label + 1}"
    share_right = gold.count(label) / len(gold)
    plausible = max(DOMINANT_SHARE, share_right + 3 * float(np.sqrt(0.25 / len(gold))))  # where one label is right nearly always, it is not an alarm
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
