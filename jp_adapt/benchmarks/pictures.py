"""Pictures of a benchmark's items: files of its data folder, or columns of a parquet file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jp_adapt.core.files import is_file

MARK = "\ufffc"  # Unicode's object replacement character: where a picture stands in a text
MAX_BYTES = 64 * 2**20
Cells = dict[str, Any]  # handle -> cell of bytes


@dataclass(frozen=True)
class Picture:
    """An encoded picture (PNG, JPEG, ...) of a file or a column `name`."""

    name: str
    sha256: str
    data: bytes = field(repr=False)

    @property
    def media_type(self) -> str:
        """By its first bytes: "image/png", "image/jpeg", "image/gif" or "image/webp"."""
        kinds = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpeg", b"GIF8": "gif", b"RIFF": "webp"}
        return "image/" + next((kind for start, kind in kinds.items() if self.data.startswith(start)), "png")


def lifted(record: Mapping[str, Any]) -> tuple[dict[str, Any], Cells]:
    """A record with a handle in the place of each cell of bytes, which no template is to see, and the cells by handle."""
    cells: Cells = {}

    def lift(name: str, value: Any) -> Any:
        if isinstance(value, list):
            return [lift(f"{name}/{place}", entry) for place, entry in enumerate(value)]
        if not _is_cell(value):
            return value
        cells[MARK + name] = value
        return MARK + name

    return {name: lift(name, value) for name, value in record.items()}, cells


def pictures_of(value: Any, cells: Cells, folder: Path) -> tuple[Picture, ...]:
    """The pictures that an expression over a record names: one or a list; each a path inside `folder`, or a handle of `cells`.

    ValueError where there is none, or one that cannot be read.
    """
    entries = [entry for entry in (value if isinstance(value, list) else [value]) if entry is not None]
    if not entries:
        raise ValueError("no picture")
    return tuple(_picture(entry, cells, folder) for entry in entries)


def _is_cell(value: Any) -> bool:
    """As parquet files of `datasets` keep images: bytes, or bytes with a path."""
    return isinstance(value, bytes) or (isinstance(value, dict) and isinstance(value.get("bytes"), bytes))


def _picture(entry: Any, cells: Cells, folder: Path) -> Picture:
    if entry in cells:
        cell = cells[entry]
        data = cell if isinstance(cell, bytes) else cell["bytes"]
        return Picture(str(entry).removeprefix(MARK), hashlib.sha256(data).hexdigest(), data)
    if not isinstance(entry, str) or not entry:
        raise ValueError(f"{str(entry)[:60]!r} is no picture: give the path of a file, or a column of pictures")
    if entry.startswith("/") or ".." in entry.split("/"):
        raise ValueError(f"picture {entry[:80]!r} leads out of the data folder; name what lies in it")
    if not is_file(folder / entry):
        raise ValueError(f"no picture {entry[:80]} in {folder}")
    if (folder / entry).stat().st_size > MAX_BYTES:
        raise ValueError(f"picture {entry[:80]} has more than {MAX_BYTES:,} bytes")
    data = (folder / entry).read_bytes()
    return Picture(entry, hashlib.sha256(data).hexdigest(), data)
