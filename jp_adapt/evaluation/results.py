"""What an evaluation leaves behind: scores.json, one figure with its interval for each metric, and outputs.jsonl, one line for each item."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from jp_adapt.core.documents import Document, Rows, Tabular, record_from
from jp_adapt.core.errors import InputError
from jp_adapt.core.files import read_json, read_json_lines, write_text

SCORES, OUTPUTS = "scores.json", "outputs.jsonl"


@dataclass(frozen=True)
class MetricScore:
    """One metric over all items: 95 % interval and standard error, None where the metric has none. `value` is None where it is not defined
    (a correlation with a constant)."""

    value: float | None
    interval: tuple[float, float] | None = None
    stderr: float | None = None


@dataclass(frozen=True)
class Sample:
    """The items were drawn from `of` items by `seed`, which draws the same ones for every model."""

    seed: int
    of: int


@dataclass(frozen=True)
class PartScore:
    """The metrics over a part of the items."""

    items: int
    metrics: dict[str, float | None]


@dataclass(frozen=True)
class TouchedScores:
    """Items of which a training corpus holds at least the share `from_share`, their ids, and the scores of these and of the other items."""

    items: int
    from_share: float
    ids: list[str]
    touched: PartScore | None
    clean: PartScore | None


@dataclass(frozen=True)
class PromptSet:
    """A metric under each wording of the prompt, with mean and range over them."""

    metric: str
    mean: float | None
    range: tuple[float, float] | None
    values: dict[str, float | None]


@dataclass(frozen=True)
class Flips:
    """Of answers that were asked for again: how many fell otherwise, and by how many nats log-likelihoods differ at most."""

    flips: int
    largest_difference_nats: float | None


@dataclass(frozen=True)
class BatchCheck:
    """Items asked again, one request at a time and in batches of their own."""

    answers: int
    alone: Flips
    together: Flips


@dataclass(frozen=True)
class Asking:
    """How generated answers were asked for beside what the profile says, and how they were drawn. A temperature of 0 takes the most probable tokens.

    `thought_tokens`: what a thought may take beside the answer's budget; None: 2,048 for a model that thinks.
    """

    system: str = ""
    thought_tokens: int | None = None
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    samples: int = 1
    seed: int = 0


@dataclass(frozen=True)
class BenchmarkScore:
    """One benchmark under one protocol. `name` is `<id>@<profile>/<k>-shot/<metric>`, and `/mean-of-<n>` behind it where n answers an item were drawn: scores
    of different names must not be compared."""

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
    touched: TouchedScores | None = None  # overlap with a training corpus
    data: str = ""  # "known": the files are those that the declaration was made with; "changed": they are not; "": it does not say which they are
    note: str = ""  # what of a peer's protocol could not be reproduced
    batch_check: BatchCheck | None = None
    prompt_set: PromptSet | None = None
    sample: Sample | None = None  # None: every item was measured
    scale: tuple[float, float] | None = None  # worst and best value of the primary metric, where its declaration sets them (a judge's grades)
    cut_answers: int = 0  # generated answers that their budget ended, of all samples
    asking: Asking | None = None  # None: as the profile says, the most probable tokens

    @property
    def primary(self) -> MetricScore:
        """The score of the primary metric."""
        return self.metrics[self.primary_metric]


@dataclass(frozen=True)
class TextScore:
    """How many bits a model needs for a text: -log2 of its probability, by characters and by UTF-8 bytes."""

    id: str
    documents: int
    chars: int
    bytes: int
    tokens: int
    bits_per_char: float
    bits_per_byte: float


@dataclass(frozen=True)
class DrawnAnswer:
    """One of several answers to an item."""

    generation: str
    prediction: Any
    scores: dict[str, float | None]
    thought: str | None = None
    cut: bool = False


@dataclass(frozen=True)
class Output:
    """One item: what was asked, what came back, and how it was judged. `prediction` and `gold` are a choice's index, or texts.

    Of several `samples` the item is the first that says what most of them say, and its scores are their means.
    """

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
    thought: str | None = None  # what the model thought before its answer; None where it did not
    cut: bool = False  # the answer's budget ended it
    samples: list[DrawnAnswer] = field(default_factory=list)  # where several answers were drawn

    @property
    def answers(self) -> list[DrawnAnswer]:
        """All generated answers to this item; none where a choice was made."""
        if self.samples or self.generation is None:
            return self.samples
        return [DrawnAnswer(self.generation, self.prediction, self.scores, self.thought, self.cut)]


@dataclass(frozen=True)
class Scores(Document, Tabular):
    """A whole evaluation of one model: the content of scores.json. `model` holds its name and what else is known of it."""

    WHAT: ClassVar[str] = "the scores of an evaluation"
    WAY_OUT: ClassVar[str] = "give the folder that `jp-adapt eval` or `jp-adapt judge` wrote"
    FORMAT: ClassVar[int] = 2
    _folder: ClassVar[Path | None] = None  # where `read_scores` found them

    model: dict[str, Any]
    profile: str
    benchmarks: list[BenchmarkScore]
    texts: list[TextScore] = field(default_factory=list)
    environment: dict[str, Any] = field(default_factory=dict)
    format: Literal[2] = 2

    @property
    def model_name(self) -> str:
        """The model's name; empty where it has none."""
        return str(self.model.get("name") or "")

    @classmethod
    def upgraded(cls, value: dict[str, Any]) -> dict[str, Any] | None:
        """Format 1 differs in the scores of touched and clean items alone."""
        benchmarks = value.get("benchmarks")
        if value.get("format") != 1 or not isinstance(benchmarks, list):
            return None
        return value | {"format": 2, "benchmarks": [_benchmark_of_format_1(entry) for entry in benchmarks]}

    def rows(self) -> list[dict[str, Any]]:
        """One row for each metric of each benchmark."""
        return [_row(self, entry, metric, score) for entry in self.benchmarks for metric, score in entry.metrics.items()]

    def items(self) -> Rows:
        """One row for each item, as outputs.jsonl beside the scores has it. InputError where these scores were not read from a folder."""
        if self._folder is None:
            raise InputError("these scores come from no folder, so there are no items beside them; read_scores(FOLDER) has both")
        return Rows({**vars(output), **output.scores} for output in read_outputs(self._folder))


def _row(scores: Scores, entry: BenchmarkScore, metric: str, score: MetricScore) -> dict[str, Any]:
    low, high = score.interval or (None, None)
    primary = metric == entry.primary_metric
    return {
        "model": scores.model_name,
        "benchmark": entry.id,
        "profile": scores.profile,
        "shots": entry.num_fewshot,
        "metric": metric,
        "primary": primary,
        "value": score.value,
        "low": low,
        "high": high,
        "stderr": score.stderr,
        "items": entry.items,
        "chance": entry.chance if primary else None,
        "majority": entry.majority if primary else None,
        "name": entry.name,
    }


def _benchmark_of_format_1(entry: Any) -> Any:
    if not isinstance(entry, dict) or not isinstance(entry.get("touched"), dict):
        return entry
    parts = {}
    for name in ("touched", "clean"):
        part = entry["touched"].get(name)
        parts[name] = {"items": part.get("items"), "metrics": {key: part[key] for key in part if key != "items"}} if isinstance(part, dict) else None
    return entry | {"touched": entry["touched"] | parts}


def write_scores(folder: Path, scores: Scores) -> None:
    """Write scores.json, whole or not at all."""
    scores.write(folder / SCORES)


def write_outputs(path: Path, outputs: Iterable[Output]) -> None:
    """Write one JSON line an item, whole or not at all."""
    write_text(path, "".join(json.dumps(asdict(output), ensure_ascii=False, allow_nan=False) + "\n" for output in outputs))


def read_scores(path: str | Path) -> Scores:
    """The scores of a result folder, or of a scores.json. InputError if it is missing, of a newer format, or has a value of the wrong type."""
    path = Path(path)
    file = path / SCORES if path.is_dir() else path
    scores = Scores.read(file)
    object.__setattr__(scores, "_folder", file.parent)  # no field: it is no part of the document
    return scores


def read_benchmark_score(path: Path) -> BenchmarkScore:
    """A single benchmark's score, as `jp-adapt eval` keeps it of a finished part."""
    return record_from(BenchmarkScore, read_json(path), str(path))


def text_scores(entries: Iterable[Mapping[str, Any]], place: str) -> list[TextScore]:
    """Bits of texts from JSON values. InputError at `place` where one does not fit."""
    return [record_from(TextScore, entry, place) for entry in entries]


def read_outputs(path: str | Path) -> Iterator[Output]:
    """The items of a result folder, or of an outputs.jsonl, in order. InputError at file:line for a line that is not an item."""
    path = Path(path)
    path = path / OUTPUTS if path.is_dir() else path
    for place, line in read_json_lines(path):
        yield record_from(Output, line, f"{place}: not an item of an evaluation")
