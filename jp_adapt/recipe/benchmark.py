"""What a benchmark declaration (`eval/*/*.yaml`) may say."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.core.files import read_text
from jp_adapt.core.hashes import sha256_file
from jp_adapt.core.shipped import shipped_benchmarks
from jp_adapt.core.suggest import did_you_mean
from jp_adapt.recipe.schema import Part
from jp_adapt.recipe.yaml_lines import load_yaml


class Benchmark(Part):
    """A multiple-choice benchmark: each line of `file` has `id`, `question`, `choices` and `answer` (index of the right choice)."""

    format: Literal[1]
    kind: Literal["multiple_choice"]
    version: str
    title: str
    licence: str
    source: str
    language: Literal["ja", "en"]
    file: str
    prompt: str = Field(description="text before a choice; {question} stands for the question")


class ChoiceItem(Part):
    """One question."""

    id: str
    category: str = ""
    question: str = Field(min_length=1)
    choices: list[str] = Field(min_length=2)
    answer: int = Field(ge=0)


@dataclass(frozen=True)
class LoadedBenchmark:
    """A declaration with its items and the hash of the file they were read from."""

    id: str
    benchmark: Benchmark
    items: list[ChoiceItem]
    path: Path
    sha256: str


def load_benchmark(name: str) -> LoadedBenchmark:
    """Load a shipped benchmark by name ("quickstart/ja-everyday-100"), or a declaration file by path, with all its items.

    Raises:
        UsageError: no such benchmark, or a wrong declaration.
        InputError: items are missing or wrong; the message gives file:line.
    """
    shipped = shipped_benchmarks()
    path = shipped.get(name) or Path(name)
    if not path.is_file():
        raise UsageError(f"no benchmark '{name}'{did_you_mean(name, shipped)}; shipped benchmarks: {', '.join(shipped) or 'none'}")
    document = load_yaml(path)
    try:
        benchmark = Benchmark.model_validate(document.value)
    except ValidationError as error:
        lines = []
        for detail in error.errors():
            file, line = document.place(tuple(detail["loc"])) or (str(path), 1)
            near = did_you_mean(str(detail["loc"][-1]), Benchmark.model_fields) if detail["type"] == "extra_forbidden" else ""
            lines.append(f"{file}:{line}: {'.'.join(map(str, detail['loc']))}: {detail['msg']}{near}")
        raise UsageError("\n".join(lines)) from error
    if "{question}" not in benchmark.prompt:
        raise UsageError(f"{path}:{document.places[('prompt',)][1]}: prompt has no {{question}}")
    data = path.parent / benchmark.file
    return LoadedBenchmark(name, benchmark, _read_items(data), data, sha256_file(data))


def _read_items(path: Path) -> list[ChoiceItem]:
    items: list[ChoiceItem] = []
    first_line: dict[str, int] = {}
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            item = ChoiceItem.model_validate(json.loads(line))
        except json.JSONDecodeError as error:
            raise InputError(f"{path}:{number}: not valid JSON ({error.msg})") from error
        except ValidationError as error:
            detail = error.errors()[0]
            raise InputError(f"{path}:{number}: {'.'.join(map(str, detail['loc']))}: {detail['msg']}") from error
        if item.answer >= len(item.choices):
            raise InputError(f"{path}:{number}: answer is {item.answer}, and there are choices 0 to {len(item.choices) - 1}")
        if len(set(item.choices)) < len(item.choices):
            raise InputError(f"{path}:{number}: two choices are the same text")
        if item.id in first_line:
            raise InputError(f"{path}:{number}: id '{item.id}' stands in line {first_line[item.id]} already")
        first_line[item.id] = number
        items.append(item)
    if not items:
        raise InputError(f"{path}: no items")
    return items
