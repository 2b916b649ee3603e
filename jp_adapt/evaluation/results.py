"""What an evaluation leaves behind: scores.json, one figure with its interval for each metric, and outputs.jsonl, one line for each item."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from jp_adapt.core.errors import InputError
from jp_adapt.core.files import read_json, read_text, write_json, write_text

FORMAT = 1
SCORES, OUTPUTS = "scores.json", "outputs.jsonl"

Record = TypeVar("Record")


@dataclass(frozen=True)
class MetricScore:
    """One metric over all items: 95 % interval and standard error, None where the metric has none. `value` is None where it is not defined
    (a correlation with a constant)."""

    value: float | None
    interval: tuple[float, float] | None = None
    stderr: float | None = None


@dataclass(frozen=True)
class BenchmarkScore:
    """One benchmark under one protocol. `name` is `<id>@<profile>/<k>-shot/<metric>`: scores of different names must not be compared."""

    id: str
    name: str
    title: str
    version: str
    licence: str
    source: str
    revision: str | None  # commit of `source` that the declaration describes
    sha256: dict[str, str]  # of every file that was read
    num_fewshot: int
    items: int
    primary_metric: str
    metrics: dict[str, MetricScore]
    chance: float | None  # expected value of the primary metric for a uniform guess
    majority: float | None  # value of the primary metric for the most frequent right answer, always given
    warnings: list[str] = field(default_factory=list)
    moved_boundaries: int = 0  # items of which a choice merges with the end of the prompt, so that scoring begins inside the prompt
    truncated_items: int = 0  # items of which tokens were cut off at the left, to fit the model's context
    groups: dict[str, dict[str, float | None]] = field(default_factory=dict)
    touched: dict[str, Any] | None = None  # overlap with a training corpus: scores of clean and of touched items
    data: str = ""  # "known": the files are those that the declaration was made with; "changed": they are not; "": it does not say which they are
    note: str = ""  # what of a peer's protocol could not be reproduced
    batch_check: dict[str, Any] | None = None  # answers that flip when they are computed alone, or in other batches
    prompt_set: dict[str, Any] | None = None  # mean and range of the primary metric over the versions of the prompt


@dataclass(frozen=True)
class Output:
    """One item: what was asked, what came back, and how it was judged. `prediction` and `gold` are a choice's index, or texts."""

    benchmark: str
    item: str
    group: str
    prompt: str
    choices: list[str] | None
    log_likelihoods: list[float] | None  # nats
    generation: str | None
    prediction: Any
    gold: Any
    scores: dict[str, float | None]
    moved_boundary: bool = False
    truncated_tokens: int = 0


@dataclass(frozen=True)
class Scores:
    """A whole evaluation of one model."""

    model: dict[str, Any]
    profile: str
    benchmarks: list[BenchmarkScore]
    texts: list[dict[str, Any]] = field(default_factory=list)
    environment: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT


def write_scores(folder: Path, scores: Scores) -> None:
    """Write scores.json, whole or not at all."""
    write_json(folder / SCORES, asdict(scores))


def write_outputs(path: Path, outputs: Iterable[Output]) -> None:
    """Write one JSON line an item, whole or not at all."""
    write_text(path, "".join(json.dumps(asdict(output), ensure_ascii=False, allow_nan=False) + "\n" for output in outputs))


def read_scores(path: Path) -> Scores:
    """The scores of a result folder, or of a scores.json. InputError when it is none, or of a newer format."""
    path = path / SCORES if path.is_dir() else path
    value = read_json(path)
    if not isinstance(value, dict) or value.get("format") != FORMAT or not isinstance(value.get("benchmarks"), list):
        raise InputError(f"{path}: not the scores of an evaluation in format {FORMAT}; give the folder that `jp-adapt eval` wrote")
    return _record(Scores, value | {"benchmarks": [score_from(entry, path) for entry in value["benchmarks"]]}, str(path))


def score_from(value: Any, path: Path) -> BenchmarkScore:
    """A benchmark's score as scores.json holds it."""
    try:
        metrics = {name: _metric(metric) for name, metric in value["metrics"].items()}
    except (TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path}: a benchmark without metrics; the file was not written by this program") from error
    return _record(BenchmarkScore, value | {"metrics": metrics}, str(path))


def read_outputs(path: Path) -> Iterator[Output]:
    """The items of a result folder, or of an outputs.jsonl, in order."""
    path = path / OUTPUTS if path.is_dir() else path
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line:
            try:
                value = json.loads(line)
            except json.JSONDecodeError as error:
                raise InputError(f"{path}:{number}: not valid JSON ({error.msg})") from error
            yield _record(Output, value, f"{path}:{number}")


def _metric(value: dict[str, Any]) -> MetricScore:
    interval = value["interval"]
    return MetricScore(value["value"], (interval[0], interval[1]) if interval is not None else None, value["stderr"])


def _record(kind: type[Record], value: Any, place: str) -> Record:
    """A dataclass from a JSON mapping; keys of a later version are let go, a missing one is an error."""
    names = {entry.name for entry in fields(kind)}  # type: ignore[arg-type]
    try:
        return kind(**{name: entry for name, entry in value.items() if name in names})
    except (TypeError, AttributeError) as error:
        raise InputError(f"{place}: not a {kind.__name__} of an evaluation ({error})") from error
