"""Judgements that somebody recorded earlier, in the layouts in which they are published."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jp_adapt.benchmarks.judge import JudgeTask
from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.core.files import read_json
from jp_adapt.evaluation.judge.answers import read_lines
from jp_adapt.evaluation.judge.parse import Grades
from jp_adapt.evaluation.judge.summary import Key, Takes

NO_RATING = -1  # FastChat's score of a judgement in which it found no rating; its own means leave it out (`show_result.py`)


def read_recorded(paths: Sequence[Path], task: JudgeTask) -> list[Takes]:
    """Recorded scores by model, told apart by their keys; several files of one model are its takes.

    `task`: whose judgements they are; a line that names another benchmark or prompt is refused, and so is a score outside the scale, or one without the score
    of the reference answer where the judge gives both. A file that is named twice would agree with itself, and is refused, too.

    - judgements.jsonl of this program: `models`, `item`, `turn`, `take`, `score`, and `reference_score` where the judge graded the reference too
    - LLaVA's and Heron-Bench's reviews: `question_id`, `category`, `tuple` (the scores of the reference and of the model); the model is the name of the file
    - FastChat's `model_judgment`: `model`, `question_id`, `turn`, `score`; a turn that was judged again has another take
    - gpt4-autoeval's `result*.jsonl`: `grade`, one line an item in the order of the benchmark; the model is the name of the folder
    """
    results: dict[str, list[dict[Key, Grades]]] = {}
    categories: dict[str, str] = {}
    prompts = {prompt.name for prompt in task.prompts}
    files = [path.resolve() for path in paths]
    for path in paths:
        if files.count(path.resolve()) > 1:
            raise UsageError(f"{path} is named twice; a judge agrees with itself")
        takes: dict[tuple[str, int], dict[Key, Grades]] = {}
        for number, (place, line) in enumerate(read_lines(path)):
            name, take, key = _address(line, number, path, place)
            if line.get("benchmark", task.benchmark) != task.benchmark:
                raise InputError(f"{place}: a judgement of {line['benchmark']}, not of {task.benchmark}; name its own --benchmark")
            if "models" in line and line.get("prompt", task.prompts[0].name) not in prompts:
                raise InputError(f"{place}: a judgement by the prompt '{line['prompt']}', and not by {', '.join(sorted(prompts))}; name its own --benchmark")
            if line.get("score", line.get("grade", line.get("tuple"))) is None and "failure" in line:
                continue  # a judgement of ours that failed
            if "question_id" in line and (line.get("score") == NO_RATING or line.get("tuple") == [NO_RATING, NO_RATING]):
                continue
            while key in takes.get((name, take), {}):
                take += 1
            takes.setdefault((name, take), {})[key] = _grades(line, place, task)
            if isinstance(line.get("category"), str):
                categories[key[0]] = line["category"]
        for (name, _), grades in sorted(takes.items(), key=lambda entry: entry[0][1]):
            results.setdefault(name, []).append(grades)
    return [_takes(name, takes, categories) for name, takes in results.items()]


def _takes(model: str, takes: Sequence[dict[Key, Grades]], categories: dict[str, str]) -> Takes:
    scores = [{key: grades.score for key, grades in take.items()} for take in takes]
    references = [{key: grades.reference for key, grades in take.items() if grades.reference is not None} for take in takes]
    return Takes(model, scores, references=references if any(references) else [], categories=categories)


def read_ranking(path: Path) -> dict[str, float]:
    """A recorded ranking of Rakuda, model -> median strength."""
    value = read_json(path)
    try:
        return {str(entry["model_id"]): float(entry["median"]) for entry in value["ranking"]}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a ranking of Rakuda ('ranking' with 'model_id' and 'median')") from error


def _address(line: dict[str, Any], number: int, path: Path, place: str) -> tuple[str, int, Key]:
    """(model, take, (item, turn)) of a recorded judgement."""
    if "grade" in line:
        return path.parent.name, 1, (str(number), 1)
    if {"question_id", "tuple"} <= line.keys():
        return path.stem, 1, (str(line["question_id"]), 1)
    if isinstance(line.get("models"), list) and {"item", "turn", "take"} <= line.keys():
        return " > ".join(map(str, line["models"])), _count(line, "take", place), (str(line["item"]), _count(line, "turn", place))
    if {"model", "question_id", "turn"} <= line.keys():
        return str(line["model"]), 1, (str(line["question_id"]), _count(line, "turn", place))
    raise InputError(
        f"{place}: no recorded judgement; a line has 'grade', 'tuple', or 'model', 'question_id', 'turn' and 'score', or what `jp-adapt judge` writes"
    )


def _count(line: dict[str, Any], name: str, place: str) -> int:
    value = line[name]
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{place}: {name} is {value!r}, not a whole number")
    return value


def _grades(line: dict[str, Any], place: str, task: JudgeTask) -> Grades:
    """The score of an answer, and that of the reference answer where the judge gives both."""
    pair = line.get("tuple")
    if pair is not None and not (isinstance(pair, list) and len(pair) == 2):
        raise InputError(f"{place}: tuple is {pair!r}, not two numbers")
    reference, score = pair or (line.get("reference_score"), line["grade"] if "grade" in line else line.get("score"))
    return Grades(_score("score", score, place, task), _score("reference_score", reference, place, task) if task.kind == "ratio" else None)


def _score(name: str, score: Any, place: str, task: JudgeTask) -> float:
    assert task.scale is not None
    if isinstance(score, bool) or not isinstance(score, (int, float)) or not math.isfinite(score):
        raise InputError(f"{place}: {name} is {score!r}, not a number")
    if not task.scale[0] <= score <= task.scale[1]:
        raise InputError(f"{place}: {name} is {score:g}, outside the scale of {task.scale[0]} to {task.scale[1]}; is this another benchmark's judgement?")
    return float(score)
