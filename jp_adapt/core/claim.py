"""A folder belongs to one piece of work. Other work is refused, with the settings that differ, and its files are not touched."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from jp_adapt.core.documents import Document
from jp_adapt.core.errors import RunFolderError
from jp_adapt.core.files import is_unfinished

MAX_TOLD = 12  # differing keys that an error lists
MAX_VALUE = 80  # characters of a value that it shows
_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class WorkRecord(Document):
    """The file FILE of a folder: everything that decides the figures of the work there."""

    FILE: ClassVar[str]
    WORK: ClassVar[str]
    WAY_OUT: ClassVar[str] = "give another --out"

    identity: dict[str, Any]
    format: int = 1


def refuse_folder(folder: Path, kind: type[WorkRecord], identity: Mapping[str, Any], *, results: bool, before_results: Collection[str]) -> None:
    """Refuse a folder that belongs to other work. Work that produced no result does not hold its folder.

    Args:
        results: whether the work in the folder has produced a result.
        before_results: names of the files that this kind of work writes before its first result, besides its record.

    Raises:
        RunFolderError: the folder holds files of something else, or results of other work than `identity`.
        InputError: its record cannot be read.
    """
    record = folder / kind.FILE
    if not record.is_file():
        if any(path.name not in before_results and not is_unfinished(path) for path in folder.iterdir()):
            raise RunFolderError(f"{folder}: is not empty, and holds no {kind.WORK}; {kind.WAY_OUT}")
    elif results:
        refuse_other_work(folder, kind.read(record).identity, identity, kind.WORK)


def refuse_other_work(folder: Path, recorded: Mapping[str, Any], identity: Mapping[str, Any], what: str, way_out: str = "give another --out") -> None:
    """Refuse to continue in a folder of other work.

    Args:
        recorded: identity of the work that the folder holds, as it was written.
        identity: identity of the work that wants to use the folder.
        what: the kind of work, as in "the folder holds another `what`".

    Raises:
        RunFolderError: they differ. The message lists the keys with both values (hashes are left out) and the way out.
    """
    results = list(_differences(recorded, json.loads(json.dumps(identity))))
    if results:
        lines = [f"  {key}{_values(old, new)}" for key, old, new in results[:MAX_TOLD]]
        lines += [f"  and {len(results) - MAX_TOLD} more"] if len(results) > MAX_TOLD else []
        raise RunFolderError(f"{folder}: holds another {what}; these settings differ:\n" + "\n".join(lines) + f"\n{way_out[0].upper()}{way_out[1:]}")


def _differences(old: Any, new: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """(dotted key, old value, new value) of every leaf that differs."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted(old.keys() | new.keys()):
            yield from _differences(old.get(name), new.get(name), f"{key}.{name}" if key else name)
    elif old != new:
        yield key, old, new


def _values(old: Any, new: Any) -> str:
    if isinstance(old, Mapping) and new is None:
        return ": there, and not now"
    if old is None and isinstance(new, Mapping):
        return ": not there, and now"
    hashes = all(value is None or (isinstance(value, str) and _HASH.fullmatch(value)) for value in (old, new))
    return "" if hashes else f": {_short(old)} there, {_short(new)} now"


def _short(value: Any) -> str:
    text = "not given" if value is None else repr(value)
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}..."
