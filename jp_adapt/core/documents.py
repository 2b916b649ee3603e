"""Typed documents: JSON files of this program, each a frozen dataclass with a `format`; what does not fit is refused with the key, the value and a way out."""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from jp_adapt.core.errors import InputError
from jp_adapt.core.files import read_json, write_json
from jp_adapt.core.schema_words import LIST, MAPPING, what_is_needed
from jp_adapt.core.visible import escape

if TYPE_CHECKING:
    import pandas
    import pyarrow
    from pydantic import TypeAdapter, ValidationError
    from typing_extensions import Self

Record = TypeVar("Record")
MOST_TOLD = 3  # of the keys that are wrong in one file
MOST_SHOWN = 50  # rows of a table in a notebook
LONGEST_CELL = 200  # characters
_OF_JSON = {MAPPING: "an object is needed", LIST: "a list is needed"}


@dataclass(frozen=True)
class Document:
    """A JSON file that this program writes and reads: a frozen dataclass whose field `format` says which version of it the file is."""

    WHAT: ClassVar[str] = "a document"
    WAY_OUT: ClassVar[str] = ""
    FORMAT: ClassVar[int] = 1
    __pydantic_config__: ClassVar[dict[str, Any]] = {"allow_inf_nan": False}

    @classmethod
    def upgraded(cls, value: dict[str, Any]) -> dict[str, Any] | None:
        """The content of an older file, converted to the current format; None if it cannot be converted."""
        return None

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the document from a file. InputError if it is missing, is not JSON, is of another kind or format, or holds a value of the wrong type."""
        if not path.exists():
            raise InputError(f"{path}: no such file{_tail(cls.WAY_OUT)}")
        value = read_json(path)
        given = value.get("format") if isinstance(value, dict) else None
        if isinstance(value, dict) and given != cls.FORMAT:
            older = None if type(given) is int and given > cls.FORMAT else cls.upgraded(value)
            if older is None:
                stated = "it names none" if given is None else f"its format is {json.dumps(given)[:40]}"
                raise InputError(f"{path}: not {cls.WHAT} in format {cls.FORMAT} ({stated}){_tail(cls.WAY_OUT)}")
            value = older
        return record_from(cls, value, f"{path}: not {cls.WHAT} in format {cls.FORMAT}", cls.WAY_OUT)

    def write(self, path: Path) -> None:
        """Write the document as indented JSON, whole or not at all; NaN is refused."""
        write_json(path, self.as_dict())

    def as_dict(self) -> dict[str, Any]:
        """The content as JSON values."""
        return asdict(self)


class Tabular:
    """An object that a notebook can show as a table."""

    def rows(self) -> list[dict[str, Any]]:
        """One mapping per row, all with the same keys."""
        raise NotImplementedError

    def to_arrow(self) -> pyarrow.Table:
        """The rows as an Arrow table."""
        import pyarrow

        return pyarrow.Table.from_pylist(self.rows())

    def to_pandas(self) -> pandas.DataFrame:
        """The rows as a pandas data frame. InputError where pandas is not installed."""
        try:
            import pandas
        except ImportError as error:
            raise InputError("pandas is not installed: pip install pandas; to_arrow() needs none") from error
        return pandas.DataFrame(self.rows())

    def _repr_html_(self) -> str:
        """The first rows as a table, for a notebook; every value is text and no markup."""
        rows = self.rows()
        names = list(dict.fromkeys(name for row in rows[:MOST_SHOWN] for name in row))
        head = "".join(f"<th>{escape(name)}</th>" for name in names)
        body = "".join(f"<tr>{''.join(f'<td>{escape(_cell(row.get(name)))}</td>' for name in names)}</tr>" for row in rows[:MOST_SHOWN])
        more = f"<p>{len(rows) - MOST_SHOWN:,} more rows: to_pandas() has all</p>" if len(rows) > MOST_SHOWN else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


class Rows(list[dict[str, Any]], Tabular):
    """A list of mappings that is a table, too."""

    def rows(self) -> list[dict[str, Any]]:
        return self


def _cell(value: Any) -> str:
    """A value on a line of a table: four digits of a float, the beginning of a long text."""
    text = "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]}…"


def record_from(kind: type[Record], value: Any, place: str, way_out: str = "") -> Record:
    """Build a dataclass from JSON values; keys of later versions are ignored. InputError, beginning with `place`, if a key is missing or has the wrong type."""
    from pydantic import ValidationError

    text = json.dumps(value)  # as JSON: a strict check of Python values takes no list for a pair
    try:
        record: Record = _adapter(cast(Hashable, kind)).validate_json(text, strict=True)
    except ValidationError as error:
        raise InputError(f"{place}: {_told(error)}{_tail(way_out)}") from error
    return record


@lru_cache(maxsize=64)
def _adapter(kind: Hashable) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(cast(Any, kind))


def _told(error: ValidationError) -> str:
    """The first few wrong keys, and what is wrong with each."""
    details = error.errors(include_url=False)
    lines = []
    for detail in details[:MOST_TOLD]:
        key = ".".join(map(str, detail["loc"]))
        kind = detail["type"]
        rule = what_is_needed(detail)
        needed = _OF_JSON.get(rule, rule)
        shown = "" if kind == "missing" else f", not {json.dumps(detail['input'], ensure_ascii=True, default=str)[:40]}"
        lines.append(f"{key + ': ' if key else ''}{needed}{shown}")
    more = f" (and {len(details) - MOST_TOLD} more)" if len(details) > MOST_TOLD else ""
    return "; ".join(lines) + more


def _tail(way_out: str) -> str:
    return f"; {way_out}" if way_out else ""
