"""What is judged: the items of a benchmark, reference answers, and the answers of models, in the layouts in which they are published."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jp_adapt.benchmarks.items import load_benchmark
from jp_adapt.benchmarks.templates import render
from jp_adapt.core.errors import InputError
from jp_adapt.core.files import read_json_lines


@dataclass(frozen=True)
class Item:
    """One question, of one turn or of two."""

    id: str
    category: str
    turns: tuple[str, ...]
    reference: tuple[str, ...] = ()
    criteria: str = ""
    context: str = ""  # what stands for the item's picture


@dataclass(frozen=True)
class Answers:
    """The answers of one model, item id -> its turns."""

    model: str
    path: Path
    turns: dict[str, tuple[str, ...]]


def read_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(file:line, object) of every line of a JSONL file that is not empty. InputError at file:line for what is no JSON object, and for no line at all."""
    results = False
    for place, value in read_json_lines(path, lone_surrogates="replace"):
        if not isinstance(value, dict):
            raise InputError(f"{place}: not a JSON object")
        results = True
        yield place, value
    if not results:
        raise InputError(f"{path}: no line in it")


def read_items(path: Path, layout: str) -> list[Item]:
    """The items of a benchmark. Layout "elyza": input_text, output_text, eval_aspect, and an item's id is its place from 0 on;
    "fastchat": question_id, category, turns; "heron": question_id, category, context, text."""
    items: dict[str, Item] = {}
    for number, (place, line) in enumerate(read_lines(path)):
        if layout == "elyza":
            texts = [_text(line, name, place) for name in ("input_text", "output_text", "eval_aspect")]
            item = Item(str(number), "", (texts[0],), (texts[1],), texts[2])
        elif layout == "heron":
            texts = [_text(line, name, place) for name in ("category", "text", "context")]
            item = Item(str(_need(line, "question_id", place)), texts[0], (texts[1],), context=texts[2])
        else:
            turns = _texts(line.get("turns"), f"{place}: turns")
            item = Item(str(_need(line, "question_id", place)), _text(line, "category", place), turns)
        if item.id in items:
            raise InputError(f"{place}: id '{item.id}' stands twice")
        items[item.id] = item
    return list(items.values())


def benchmark_items(name: str, data: Path | None) -> tuple[list[Item], dict[str, str]]:
    """The items of a benchmark as an evaluation asks them, each with its first right answer as the reference, and the hashes of its files. InputError where
    an item has none."""
    loaded = load_benchmark(name, data, shots=False)
    if missing := [item.id for item in loaded.items if not item.answers]:
        raise InputError(f"{name}: item {missing[0]} has no right answer that a judge could be shown")
    items = [Item(item.id, item.group, (render(loaded.benchmark.question, item.fields),), (item.answers[0],)) for item in loaded.items]
    return items, loaded.sha256


def read_answers(path: Path, benchmark: str) -> Answers:
    """The answers of one model to `benchmark`, of a file in one of four layouts, told apart by their keys.

    - outputs.jsonl of an evaluation, or the folder that holds it: `benchmark`, `item` (ID, or ID/1 and ID/2 for two turns), `generation`
    - FastChat's and Rakuda's: `question_id`, `model_id`, `choices[0].turns`
    - LLaVA's and Heron-Bench's: `question_id`, `text`
    - gpt4-autoeval's for ELYZA-tasks-100: `pred`, one line an item in the order of the benchmark
    """
    file = path / "outputs.jsonl" if path.is_dir() else path
    turns: dict[str, tuple[str, ...]] = {}
    others: set[str] = set()
    for number, (place, line) in enumerate(read_lines(file)):
        turn = 1
        if "question_id" in line and ("choices" in line or "text" in line):
            id, given = str(line["question_id"]), _turns(line, place)
        elif "item" in line:
            if line.get("benchmark", benchmark) != benchmark:
                others.add(str(line["benchmark"]))
                continue
            id, turn = _item_and_turn(str(line["item"]))
            given = (_generation(line, place),)
        elif "pred" in line:
            id, given = str(number), (_text(line, "pred", place),)
        else:
            raise InputError(f"{place}: no answer; a line has 'item' and 'generation', or 'question_id' and 'choices' or 'text', or 'pred'")
        if len(turns.get(id, ())) != turn - 1:
            raise InputError(f"{place}: item '{id}' is answered twice, or its first turn is missing")
        turns[id] = turns.get(id, ()) + given
    if not turns:
        raise InputError(f"{file}: no answer to {benchmark}; it holds answers to {', '.join(sorted(others))}")
    name = path.parent.name if file.name in ("outputs.jsonl", "preds.jsonl") and not path.is_dir() else path.stem if path.suffix == ".jsonl" else path.name
    return Answers(name, file, turns)


def _item_and_turn(name: str) -> tuple[str, int]:
    id, slash, turn = name.rpartition("/")
    return (id, int(turn)) if slash and turn in ("1", "2") else (name, 1)


def read_references(path: Path) -> dict[str, tuple[str, ...]]:
    """Reference answers in FastChat's or LLaVA's layout, item id -> its turns. InputError where an item has two."""
    references: dict[str, tuple[str, ...]] = {}
    for place, line in read_lines(path):
        id = str(_need(line, "question_id", place))
        if id in references:
            raise InputError(f"{place}: item '{id}' is answered twice")
        references[id] = _turns(line, place)
    return references


def _turns(line: dict[str, Any], place: str) -> tuple[str, ...]:
    if "choices" not in line and "text" in line:
        return (_text(line, "text", place),)
    choices = line.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise InputError(f"{place}: choices: a list with an object in it is needed")
    return _texts(choices[0].get("turns"), f"{place}: choices[0].turns")


def _generation(line: dict[str, Any], place: str) -> str:
    text = line.get("generation")
    if not isinstance(text, str):
        raise InputError(f"{place}: generation is {json.dumps(text)[:40]}; only generated answers can be judged")
    return text


def _texts(value: Any, place: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(text, str) for text in value):
        raise InputError(f"{place}: a list of texts is needed")
    return tuple(value)


def _text(line: dict[str, Any], name: str, place: str) -> str:
    value = _need(line, name, place)
    if not isinstance(value, str):
        raise InputError(f"{place}: {name}: a text is needed, and it is {json.dumps(value)[:40]}")
    return value


def _need(line: dict[str, Any], name: str, place: str) -> Any:
    if name not in line:
        raise InputError(f"{place}: no '{name}'")
    return line[name]
