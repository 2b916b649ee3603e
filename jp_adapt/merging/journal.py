"""A journal of evaluations: one JSON line each, on disk before the next one begins, and read back to the bit."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from jp_adapt.core.claim import refuse_other_work
from jp_adapt.core.documents import record_from
from jp_adapt.core.errors import InputError
from jp_adapt.core.foreign_json import parse_json

FORMAT = 1


@dataclass(frozen=True)
class Evaluation:
    """One candidate and what came of it.

    Attributes:
        generation: from 0, the start alone.
        genome: the values of the genes between 0 and 1, as the optimizer asked for them.
        losses: objective -> loss of each item that was asked, in the order of the search's items; lower is better.
        fitness: what the optimizer is told; of a candidate that was given up it is an estimate.
        whole: whether all items were asked.
        slopes: objective -> by how much its mean loss grows with each number of the genome, where that is known.
    """

    generation: int
    index: int
    genome: list[float]
    losses: dict[str, list[float]]
    fitness: float
    whole: bool
    elapsed_s: float
    slopes: dict[str, list[float]] = field(default_factory=dict)


class Journal:
    """The evaluations of a search, in a file of JSON lines whose first line says which search it is.

    Args:
        search: what decides which genomes are asked for. A file of another search is not touched.

    Raises:
        RunFolderError: the file is of another search. InputError: a line of it is damaged, and not just the last one, cut short by a kill.
    """

    def __init__(self, path: Path, search: Mapping[str, Any]) -> None:
        self.path = path
        self.evaluations: dict[tuple[int, int], Evaluation] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file() and path.stat().st_size:
            self._read({"format": FORMAT} | dict(search))
        else:
            self._append({"format": FORMAT} | dict(search))

    def _read(self, search: dict[str, Any]) -> None:
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        lines = []
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                lines.append(parse_json(line, f"{self.path}:{number}"))
            except InputError as error:
                raise InputError(f"{self.path}:{number}: no line of a search's journal ({error}); restore the file, or begin anew with another one") from error
        header = lines[0] if lines else None
        if lines:
            refuse_other_work(self.path, header if isinstance(header, dict) else {}, search, "search", "give another place")
        for number, line in enumerate(lines[1:], start=2):
            entry = record_from(Evaluation, line, f"{self.path}:{number}", "restore the file, or begin anew with another one")
            self.evaluations[entry.generation, entry.index] = entry
        if len(whole) < len(data):
            with self.path.open("r+b") as file:
                file.truncate(len(whole))
        if not lines:
            self._append(search)

    def add(self, evaluation: Evaluation) -> None:
        """Write an evaluation, and return when it is on disk."""
        self._append(asdict(evaluation))
        self.evaluations[evaluation.generation, evaluation.index] = evaluation

    def _append(self, value: Mapping[str, Any]) -> None:
        line = (json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")
        with self.path.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
