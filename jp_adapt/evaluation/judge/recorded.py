"""Judgements that somebody recorded earlier, in the layouts in which they are published."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.core.files import read_json
from jp_adapt.evaluation.judge.answers import read_lines
from jp_adapt.evaluation.judge.summary import Key, Takes

NO_RATING = -1  # FastChat's score of a judgement in which it found no rating; its own means leave it out (`show_result.py`)


def read_recorded(paths: Sequence[Path], benchmark: str, scale: tuple[int, int]) -> list[Takes]:
    """Recorded scores by model, told apart by their keys; several files of one model are its takes.

    `benchmark`: whose judgements they are; a line that names another one is refused, and so is a score outside `scale`. A file that is named twice would agree
    with itself, and is refused, too.

    - judgements.jsonl of this program: `models`, `item`, `turn`, `take`, `score`
    - FastChat's `model_judgment`: `model`, `question_id`, `turn`, `score`; a turn that was judged again has another take
    - gpt4-autoeval's `result*.jsonl`: `grade`, one line an item in the order of the benchmark; the model is the name of the folder
    """
    results: dict[str, list[dict[Key, float]]] = {}
    files = [path.resolve() for path in paths]
    for path in paths:
        if files.count(path.resolve()) > 1:
            raise UsageError(f"{path} is named twice; a judge agrees with itself")
        takes: dict[tuple[str, int], dict[Key, float]] = {}
        for number, (place, line) in enumerate(read_lines(path)):
            name, take, key = _address(line, number, path, place)
            if line.get("benchmark", benchmark) != benchmark:
                raise InputError(f"{place}: a judgement of {line['benchmark']}, not of {benchmark}; name its own --benchmark")
            if line.get("score", line.get("grade")) is None and "failure" in line:
                continue  # a judgement of ours that failed
            if "question_id" in line and line.get("score") == NO_RATING:
                continue
            while key in takes.get((name, take), {}):
                take += 1
            takes.setdefault((name, take), {})[key] = _score(line, place, scale)
        for (name, _), scores in sorted(takes.items(), key=lambda entry: entry[0][1]):
            results.setdefault(name, []).append(scores)
    return [Takes(name, takes) for name, takes in results.items()]


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
    if isinstance(line.get("models"), list) and {"item", "turn", "take"} <= line.keys():
        return " > ".join(map(str, line["models"])), _count(line, "take", place), (str(line["item"]), _count(line, "turn", place))
    if {"model", "question_id", "turn"} <= line.keys():
        return str(line["model"]), 1, (str(line["question_id"]), _count(line, "turn", place))
    raise InputError(f"{place}: no recorded judgement; a line has 'grade', or 'model', 'question_id', 'turn' and 'score', or what `jp-adapt judge` writes")


def _count(line: dict[str, Any], name: str, place: str) -> int:
    value = line[name]
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{place}: {name} is {value!r}, not a whole number")
    return value


def _score(line: dict[str, Any], place: str, scale: tuple[int, int]) -> float:
    score = line["grade"] if "grade" in line else line.get("score")
    if isinstance(score, bool) or not isinstance(score, (int, float)) or not math.isfinite(score):
        raise InputError(f"{place}: score is {score!r}, not a number")
    if not scale[0] <= score <= scale[1]:
        raise InputError(f"{place}: score is {score:g}, outside the scale of {scale[0]} to {scale[1]}; is this another benchmark's judgement?")
    return float(score)
