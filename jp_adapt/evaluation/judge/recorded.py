"""Judgements that somebody recorded earlier, in the layouts in which they are published."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jp_adapt.core.errors import InputError
from jp_adapt.core.files import read_json
from jp_adapt.evaluation.judge.answers import read_lines
from jp_adapt.evaluation.judge.summary import Key, Takes


def read_recorded(paths: Sequence[Path]) -> list[Takes]:
    """Recorded scores by model, told apart by their keys; several files of one model are its takes.

    - judgements.jsonl of this program: `models`, `item`, `turn`, `take`, `score`
    - FastChat's `model_judgment`: `model`, `question_id`, `turn`, `score`; a turn that was judged again has another take
    - gpt4-autoeval's `result*.jsonl`: `grade`, one line an item in the order of the benchmark; the model is the name of the folder
    """
    results: dict[str, list[dict[Key, float]]] = {}
    for path in paths:
        takes: dict[tuple[str, int], dict[Key, float]] = {}
        for number, (place, line) in enumerate(read_lines(path)):
            name, take, key = _address(line, number, path, place)
            if line.get("score", line.get("grade")) is None and "failure" in line:
                continue  # a judgement of ours that failed
            while key in takes.get((name, take), {}):
                take += 1
            takes.setdefault((name, take), {})[key] = _score(line, place)
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
    if "models" in line and "item" in line:
        return " > ".join(map(str, line["models"])), int(line["take"]), (str(line["item"]), int(line["turn"]))
    if "model" in line and "question_id" in line and "turn" in line:
        return str(line["model"]), 1, (str(line["question_id"]), int(line["turn"]))
    raise InputError(f"{place}: no recorded judgement; a line has 'grade', or 'model', 'question_id', 'turn' and 'score', or what `jp-adapt judge` writes")


def _score(line: dict[str, Any], place: str) -> float:
    score = line["grade"] if "grade" in line else line.get("score")
    if isinstance(score, bool) or not isinstance(score, (int, float)):
        raise InputError(f"{place}: score is {score!r}, not a number")
    return float(score)
