"""The items of evaluations as the data of the page's browser."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from jp_adapt.benchmarks.metrics import METRICS
from jp_adapt.core.errors import InputError
from jp_adapt.core.foreign_json import parse_json
from jp_adapt.evaluation.compare import Run
from jp_adapt.evaluation.results import BenchmarkScore, Output

LONGEST_TEXT, LEAST_TEXT = 4000, 200  # characters of a prompt, an answer or the choices together that the page carries; outputs.jsonl has the whole
PAGE_CHARS = 8_000_000  # of all of them together: a browser opens 20 MB of Japanese in a second or two, and JMMLU alone has 30
LEAST_CHOICE = 20  # characters of a choice
LEAST_SHARED = 200  # characters from which a beginning that all prompts of a group share is stored once
CUT = "\u2026"

Data = dict[str, Any]
Scale = tuple[float, float]  # the worst and the best score


def browser_data(runs: Sequence[Run]) -> Data:
    """Benchmarks, the beginnings that prompts of a group share, the filters, and every item with what each run made of it."""
    ids = list(dict.fromkeys(entry.id for run in runs for entry in run.scores.benchmarks))
    entries = {entry.id: entry for run in runs for entry in run.scores.benchmarks}
    outputs = [output for run in runs for name in ids for output in run.items.get(name, {}).values()]
    longest = max(LEAST_TEXT, min(LONGEST_TEXT, PAGE_CHARS // max(1, len(outputs))))
    prompts: dict[tuple[str, str], list[str]] = {}
    for output in outputs:
        prompts.setdefault((output.benchmark, output.group), []).append(output.prompt)
    shared = {group: _shared(members) for group, members in prompts.items()}
    stored = list(dict.fromkeys(text for text in shared.values() if text))
    items = []
    for index, name in enumerate(ids):
        for item in dict.fromkeys(item for run in runs for item in run.items.get(name, {})):
            results = _item(index, item, [run.items.get(name, {}).get(item) for run in runs], runs, entries[name], shared, longest)
            beginning = shared[name, results["group"]]
            items.append(results | ({"shared": stored.index(beginning)} if beginning else {}))
    return {"benchmarks": ids, "shared": [_end_of(text, LONGEST_TEXT) for text in stored], "outcomes": _filters(runs), "items": items}


def item_scale(entry: BenchmarkScore) -> Scale | None:
    """The worst and the best score that an item can have; None where no score of an item is right or wrong (a number that goes into a correlation)."""
    if entry.scale is not None:
        return entry.scale
    facts = METRICS.get(entry.primary_metric)
    return None if facts is None or facts.whole_of == "numbers" else (0.0, facts.perfect)


def _filters(runs: Sequence[Run]) -> list[tuple[str, list[str]]]:
    """(key, phrase with what stands in its {}) of the outcomes that can be asked for."""
    graded = all(entry.scale is not None for run in runs for entry in run.scores.benchmarks)
    right, wrong = ("best grade", "worst grade") if graded else ("right", "wrong")
    if len(runs) == 1:
        return [("", ["all"]), ("right", [right]), ("wrong", [wrong])]
    base = runs[0].name
    results = [("", ["all"])]
    for index, run in enumerate(runs[1:], start=1):
        results += [(f"lost{index}", ["{} better than {}", base, run.name]), (f"gained{index}", ["{} better than {}", run.name, base])]
    return [*results, ("right", [f"all {right}"]), ("wrong", [f"all {wrong}"]), ("differ", ["different scores"])]


def _item(
    index: int,
    name: str,
    outputs: Sequence[Output | None],
    runs: Sequence[Run],
    entry: BenchmarkScore,
    shared: Mapping[tuple[str, str], str],
    longest: int,
) -> Data:
    scale = item_scale(entry)
    scores = [output.scores.get(entry.primary_metric) if output is not None else None for output in outputs]
    existing = [output for output in outputs if output is not None]
    answers = [_answer(run.name, output, score, scale, longest) for run, output, score in zip(runs, outputs, scores, strict=True) if output is not None]
    flagged = {
        "moved": any(output.moved_boundary for output in existing),
        "truncated": any(output.truncated_tokens for output in existing),
        "cut": any(answer.cut for output in existing for answer in output.answers),
    }
    choices = existing[0].choices
    return {
        "b": index,
        "id": name,
        "group": existing[0].group,
        "prompt": _end_of(existing[0].prompt[len(shared[existing[0].benchmark, existing[0].group]) :], longest),
        "choices": None if choices is None else [_beginning_of(choice, max(LEAST_CHOICE, longest // max(1, len(choices)))) for choice in choices],
        "gold": _beginning_of(_text(existing[0].gold), longest),
        "outcomes": _outcomes(scores, scale),
        "flags": [flag for flag, on in flagged.items() if on],
        "answers": answers,
    }


def _answer(model: str, output: Output, score: float | None, scale: Scale | None, longest: int) -> Data:
    mark = "" if score is None or scale is None else "right" if score == scale[1] else "wrong" if score == scale[0] else ""
    shown = "\u2013" if score is None else f"{score:g}" if score == round(score, 3) else f"{score:.3f}"
    more: Data = {"thought": _beginning_of(output.thought, longest)} if output.thought else {}
    if judged := _judged(output):
        more["judged"] = [(turn, take, grade, _beginning_of(text, longest)) for turn, take, grade, text in judged]
    if output.samples:
        more["samples"] = [_beginning_of(sample.generation, max(LEAST_TEXT, longest // len(output.samples))) for sample in output.samples]
    return more | {
        "model": model,
        "score": {"right": "\u2713", "wrong": "\u2717"}[mark] if mark and scale == (0.0, 1.0) else shown,
        "mark": mark,
        "text": _beginning_of(_said(output), longest),
        "nats": [f"{nats:.3f}" for nats in output.log_likelihoods] if output.log_likelihoods is not None else None,
    }


def _said(output: Output) -> str:
    """What a model wrote, or the choice it made."""
    return _text(output.prediction) if output.generation is None else output.generation


def _judged(output: Output) -> list[tuple[str, str, str, str]]:
    """(turn, take, grade, what the judge said) of an answer that was judged; a verdict in JSON has a line for each of its keys."""
    entries = [entry for entry in output.prediction if isinstance(entry, dict) and "judgement" in entry] if isinstance(output.prediction, list) else []
    return [(str(entry.get("turn")), str(entry.get("take")), _grade(entry), _unfolded(str(entry["judgement"]))) for entry in entries]


def _grade(verdict: dict[str, Any]) -> str:
    """The grade of an answer, and behind a slash that of the reference answer where it was graded too."""
    return "/".join(str(verdict.get(name)) for name in ("score", "reference_score") if name == "score" or name in verdict)


def _unfolded(judgement: str) -> str:
    try:
        value = parse_json(judgement, "the judgement", lone_surrogates="replace")
    except InputError:
        return judgement
    return "\n".join(f"{key}: {_text(entry)}" for key, entry in value.items()) if isinstance(value, dict) else judgement


def _outcomes(scores: Sequence[float | None], scale: Scale | None) -> list[str]:
    known = [score for score in scores if score is not None]
    ends = (("wrong", scale[0]), ("right", scale[1])) if scale is not None and known else ()
    results = [name for name, end in ends if all(score == end for score in known)]
    base = scores[0]
    for index, score in enumerate(scores[1:], start=1):
        if base is not None and score is not None and base != score:
            results.append(f"lost{index}" if base > score else f"gained{index}")
    return results + (["differ"] if len(set(known)) > 1 else [])


def _shared(prompts: Sequence[str]) -> str:
    """The beginning that all prompts share, up to the end of a line; nothing where it is short."""
    first, last = (min(prompts), max(prompts)) if len(prompts) > 1 else ("", "")
    length = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    beginning = first[:length]
    beginning = beginning[: beginning.rfind("\n") + 1]
    return beginning if len(beginning) >= LEAST_SHARED else ""


def _end_of(prompt: str, longest: int) -> str:
    """The end of a prompt, where the question stands."""
    return prompt if len(prompt) <= longest else CUT + prompt[-longest:]


def _beginning_of(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[:longest] + CUT


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return "\n".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
