"""The lines of metrics.jsonl as they come: what was written since the last look, and whether a resumed run has taken some of it back."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jp_adapt.core.errors import InputError
from jp_adapt.core.foreign_json import parse_json
from jp_adapt.report.written import finite

MOST_POINTS = 4000  # of one curve: more than a screen has columns
MAX_LINE = 2**20

Columns = dict[str, list[float | None]]


@dataclass
class MetricsTail:
    """A file of metrics that another process appends to. A resumed run writes it anew, which gives it another inode."""

    path: Path
    _offset: int = 0
    _inode: int = 0
    _rest: bytes = field(default=b"", repr=False)

    def new(self) -> tuple[bool, list[dict[str, float | None]]]:
        """Whether what came before is void, and the lines since then: their numbers, None for one that is not finite. What is no metrics is left out."""
        try:
            with self.path.open("rb") as file:
                status = os.fstat(file.fileno())
                reset = status.st_ino != self._inode or status.st_size < self._offset
                if reset:
                    self._offset, self._inode, self._rest = 0, status.st_ino, b""
                file.seek(self._offset)
                data = file.read()
        except OSError:
            return False, []
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest if len(self._rest) <= MAX_LINE else b""
        return reset, [numbers for line in lines if (numbers := _numbers(line))]


def columns(lines: Iterable[dict[str, float | None]]) -> Columns:
    """Lines as columns of one length."""
    rows = list(lines)
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def thinned(lines: Sequence[dict[str, float | None]], most: int = MOST_POINTS) -> list[dict[str, float | None]]:
    """At most about `most` lines: those with held-out figures, and of every stretch the lowest and the highest loss, so that no spike is lost."""
    if len(lines) <= most:
        return list(lines)
    size = -(-2 * len(lines) // most)
    kept = {0, len(lines) - 1} | {at for at, line in enumerate(lines) if any("/" in name for name in line)}
    for start in range(0, len(lines), size):
        stretch = range(start, min(start + size, len(lines)))
        kept |= {min(stretch, key=lambda at: _loss(lines[at])), max(stretch, key=lambda at: _loss(lines[at]))}
    return [lines[at] for at in sorted(kept)]


def _loss(line: dict[str, float | None]) -> float:
    value = line.get("loss_nats_per_token", line.get("loss"))
    return 0.0 if value is None else value


def _numbers(line: bytes) -> dict[str, float | None] | None:
    """The numbers of a line with a step; None for any other line."""
    if not line.strip() or b"\0" in line:
        return None
    try:
        value: Any = parse_json(line, "metrics", allow_nan=True)
    except InputError:
        return None
    if not isinstance(value, dict) or type(value.get("step")) is not int:
        return None
    return {str(name): finite(number) for name, number in value.items() if isinstance(number, (int, float)) and not isinstance(number, bool)}
