"""The items of evaluations side by side for the page: small columns of all of them, texts of those that are on the screen, and a search through every text."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jp_adapt.core.documents import record_from
from jp_adapt.core.errors import InputError
from jp_adapt.core.files import MAX_TEXT_BYTES
from jp_adapt.core.foreign_json import parse_json
from jp_adapt.core.names import told_apart
from jp_adapt.evaluation.results import OUTPUTS, Output, read_scores
from jp_adapt.report.eval_items import LEAST_SHARED, item_scale
from jp_adapt.report.written import finite

MOST_TOGETHER = 4  # evaluations in one table
MOST_ROWS = 200  # of one request
LONGEST_LINE, LONGEST_TEXT = 200, 200_000  # characters of a text in the table, and of an opened item
MAX_LINE = 2**24  # bytes of a line of outputs.jsonl


@dataclass
class _Side:
    """What one evaluation made of the items."""

    file: Path
    offsets: dict[int, int] = field(default_factory=dict)  # item -> where its line begins
    answers: dict[int, str] = field(default_factory=dict)
    scores: dict[int, float | None] = field(default_factory=dict)
    marks: dict[int, str] = field(default_factory=dict)


@dataclass
class _Group:
    """The prompts of a benchmark's group: the first of them, and how much of its beginning all others share."""

    first: str
    shared: int


class ItemTable:
    """Items of up to `MOST_TOGETHER` evaluations, by benchmark and id. In memory are the questions, and the text of each item as it is searched;
    whole items are read from outputs.jsonl when they are opened."""

    def __init__(self, folders: Sequence[Path]) -> None:
        scores = [read_scores(folder) for folder in folders]
        self.names = told_apart([one.model_name[:LONGEST_LINE] for one in scores], [str(folder) for folder in folders])
        self.sides = [_Side(folder / OUTPUTS) for folder in folders]
        self.broken = 0
        self.keys: dict[tuple[str, str], int] = {}
        self.groups: list[str] = []
        self.flags: list[int] = []
        self._entries = {entry.id: entry for one in scores for entry in one.benchmarks}
        self._texts: list[str] = []  # as they are searched
        self._questions: list[str] = []
        self._shared: dict[tuple[str, str], _Group] = {}
        self._left: list[tuple[str, int]] = []  # of a prompt what stood behind the shared beginning when it was read, and the length of that
        for side in self.sides:
            self._read(side)
        self._finish()

    def index(self) -> dict[str, Any]:
        """Columns over all items: enough to filter and to count."""
        benchmarks = list(dict.fromkeys(benchmark for benchmark, _ in self.keys))
        number = {name: at for at, name in enumerate(benchmarks)}
        return {
            "names": self.names,
            "benchmarks": [{"id": name, "title": self._entries[name].title if name in self._entries else name} for name in benchmarks],
            "count": len(self.keys),
            "benchmark": [number[benchmark] for benchmark, _ in self.keys],
            "marks": ["".join(side.marks.get(at, "-") for at in range(len(self.keys))) for side in self.sides],
            "scores": [[side.scores.get(at) for at in range(len(self.keys))] for side in self.sides],
            "flags": self.flags,
            "broken": self.broken,
        }

    def rows(self, wanted: Sequence[int]) -> list[dict[str, Any]]:
        """What the table shows of some items."""
        names = list(self.keys)
        return [
            {
                "i": at,
                "id": names[at][1],
                "group": self.groups[at],
                "question": self._questions[at],
                "answers": [side.answers.get(at, "") for side in self.sides],
            }
            for at in wanted[:MOST_ROWS]
            if 0 <= at < len(names)
        ]

    def search(self, text: str) -> list[int]:
        """Items that hold a text anywhere: prompt behind the shared beginning, choices, right answer, answers, id. Width and case of letters do not count."""
        wanted = _searchable(text)
        return [at for at, inside in enumerate(self._texts) if wanted in inside]

    def item(self, at: int) -> dict[str, Any]:
        """A whole item: what was asked, what was right, and what each model said."""
        if not 0 <= at < len(self.keys):
            raise InputError(f"item {at} is not in the table")
        outputs = [_output_at(side.file, side.offsets[at]) if at in side.offsets else None for side in self.sides]
        known = next(output for output in outputs if output is not None)
        group = self._shared[known.benchmark, known.group]
        shared = _whole_lines(group) if known.prompt.startswith(_whole_lines(group)) else ""
        return {
            "i": at,
            "benchmark": known.benchmark,
            "id": known.item,
            "group": known.group,
            "shared": shared[-LONGEST_TEXT:],
            "prompt": known.prompt[len(shared) :][-LONGEST_TEXT:],
            "choices": known.choices,
            "gold": known.gold,
            "answers": [None if output is None else _answer(output) for output in outputs],
        }

    def _read(self, side: _Side) -> None:
        for offset, output in _outputs(side.file):
            if output is None:
                self.broken += 1
                continue
            key = (output.benchmark, output.item)
            at = self.keys.setdefault(key, len(self.keys))
            if at == len(self._texts):
                self._add(output)
            side.offsets[at] = offset
            said = _said(output)
            side.answers[at] = _line(said)
            self._texts[at] += f"\n{said}" if len(said) <= LONGEST_TEXT else f"\n{said[:LONGEST_TEXT]}"
            side.scores[at], side.marks[at] = self._mark(output)
            self.flags[at] |= (1 if output.moved_boundary else 0) | (2 if output.truncated_tokens else 0)

    def _add(self, output: Output) -> None:
        """A new item. Its prompt is kept behind the beginning that the prompts of its group have shared so far."""
        prompt = output.prompt
        group = self._shared.setdefault((output.benchmark, output.group), _Group(prompt, len(prompt)))
        if not prompt.startswith(group.first[: group.shared]):
            group.shared = _common(group.first, prompt, group.shared)
        self._left.append((prompt[group.shared :], group.shared))
        self.groups.append(output.group)
        self.flags.append(0)
        self._texts.append("\n".join([output.item, output.group, *(output.choices or []), _text(output.gold)]))

    def _mark(self, output: Output) -> tuple[float | None, str]:
        entry = self._entries.get(output.benchmark)
        if entry is None:
            return None, "-"
        score, scale = finite(output.scores.get(entry.primary_metric)), item_scale(entry)
        if score is None or scale is None:
            return score, "-"
        return score, "+" if score == scale[1] else "x" if score == scale[0] else "~"

    def _finish(self) -> None:
        """Put together what each item asks, now that the shared beginnings are known."""
        for at, (benchmark, _) in enumerate(self.keys):
            group = self._shared[benchmark, self.groups[at]]
            left, length = self._left[at]
            prompt = group.first[len(_whole_lines(group)) : length] + left
            self._questions.append(_question(prompt))
            self._texts[at] = _searchable(f"{prompt}\n{self._texts[at]}")
        self._left.clear()


def _outputs(file: Path) -> Iterator[tuple[int, Output | None]]:
    """Every line with the place where it begins; None for one that is no item: the last one of a file that is still written, or what another program wrote."""
    try:
        with file.open("rb") as lines:
            offset = 0
            while line := lines.readline(MAX_LINE):
                if line.strip():
                    yield offset, _parsed(line)
                offset += len(line)
    except OSError as error:
        raise InputError(f"{file.name}: cannot be read ({error.strerror})") from error


def _parsed(line: bytes) -> Output | None:
    try:
        return record_from(Output, parse_json(line, OUTPUTS, lone_surrogates="replace"), OUTPUTS)
    except InputError:
        return None


def _output_at(file: Path, offset: int) -> Output | None:
    try:
        with file.open("rb") as lines:
            lines.seek(offset)
            return _parsed(lines.readline(min(MAX_LINE, MAX_TEXT_BYTES)))
    except OSError:
        return None


def _answer(output: Output) -> dict[str, Any]:
    return {
        "text": _said(output)[:LONGEST_TEXT],
        "thought": None if output.thought is None else output.thought[:LONGEST_TEXT],
        "cut": output.cut,
        "drawn": [
            {"text": one.generation[:LONGEST_TEXT], "thought": one.thought and one.thought[:LONGEST_TEXT], "cut": one.cut} for one in output.samples or []
        ],
        "prediction": output.prediction if isinstance(output.prediction, int) else None,
        "nats": output.log_likelihoods,
        "scores": output.scores,
    }


def _said(output: Output) -> str:
    """The text of an answer: what was written, or the choice that was made."""
    if output.generation is not None:
        return output.generation
    chosen = output.prediction
    if output.choices is not None and isinstance(chosen, int) and 0 <= chosen < len(output.choices):
        return output.choices[chosen]
    return _text(chosen)


def _text(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else "\n".join(map(str, value)) if isinstance(value, list) else str(value)


def _common(a: str, b: str, most: int) -> int:
    """How many characters two texts share at their beginnings, up to `most`."""
    low, high = 0, min(len(a), len(b), most)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if a[:middle] == b[:middle] else (low, middle - 1)
    return low


def _whole_lines(group: _Group) -> str:
    """The shared beginning up to the end of a line; nothing where it is short."""
    beginning = group.first[: group.shared]
    beginning = beginning[: beginning.rfind("\n") + 1]
    return beginning if len(beginning) >= LEAST_SHARED and len(beginning) < len(group.first) else ""


def _question(prompt: str) -> str:
    """The longest of the last lines: below it stands "Answer:" or the like."""
    return _line(max(prompt.strip().split("\n")[-3:], key=len))


def _line(text: str) -> str:
    return " ".join(text[: 2 * LONGEST_LINE].split())[:LONGEST_LINE]


def _searchable(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
