"""JSON Lines files, one object per line. A file of another shape is identified, with the command that converts it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jp_adapt.core.errors import InputError
from jp_adapt.core.files import not_utf8
from jp_adapt.core.foreign_json import parse_json
from jp_adapt.core.unpack import PACKINGS
from jp_adapt.corpus.lines import OnError, iter_lines

BOM = "\ufeff"


class ShapeError(InputError):
    """The whole file has another shape than its kind: nothing in it can be read, and to pass over what cannot be read would pass over all of it."""


def iter_records(path: Path, on_error: OnError) -> Iterator[tuple[str, dict[str, Any]]]:
    """(place as "file:line", object) of each line that is not white. A line that is not an object goes to `on_error` and is left out.

    Raises:
        ShapeError: the file is one JSON array, or its objects continue over several lines.
        InputError: nothing more can be read (see `iter_lines`).
    """
    for place, text in _of_right_shape(path, _texts(path, on_error)):
        try:
            record = _record(place, text)
        except InputError as error:
            on_error(error)
            continue
        yield place, record


def decoded(place: str, line: bytes) -> str:
    """A line as text. InputError where it is not UTF-8."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise not_utf8(place, line[error.start]) from error


def _texts(path: Path, on_error: OnError) -> Iterator[tuple[str, str]]:
    for number, line in iter_lines(path, on_error):
        place = f"{path}:{number}"
        try:
            text = decoded(place, line)
        except InputError as error:
            on_error(error)
            continue
        if text.strip():
            yield place, text


def _of_right_shape(path: Path, texts: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The same lines. ShapeError where the first of them (with the second, where it is the beginning of an object) shows another shape."""
    for place, text in texts:
        second = next(texts, None) if _goes_on(text) else None
        if text.lstrip().startswith("["):
            what, query = "a JSON array begins here, and one JSON object a line is read", ".[]"
        elif second is not None and not _is_object(second[1]):
            what, query = "a JSON object begins here that continues in the next line, and one whole object a line is read", "."
        else:
            yield place, text
            if second is not None:
                yield second
            break
        raise ShapeError(f"{place}: {what}; convert the file: {_converted(path, query)}")
    yield from texts


def _goes_on(text: str) -> bool:
    """Whether a line is the beginning of an object whose end is not in it."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return text.lstrip().startswith("{") and error.pos >= len(text.rstrip())
    except (ValueError, RecursionError):  # what is wrong with it is told by `_record`
        return False
    return False


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _record(place: str, text: str) -> dict[str, Any]:
    if text.startswith(BOM):
        raise InputError(f"{place}: not valid JSON (Unexpected UTF-8 BOM within the file); mend the line")
    try:
        record = parse_json(text, place, allow_nan=True)
    except InputError as error:
        raise InputError(f"{error}; mend the line") from error
    if not isinstance(record, dict):
        raise InputError(f"{place}: a {type(record).__name__}, and an object is needed; mend the line")
    return record


def _converted(path: Path, query: str) -> str:
    """The command that makes JSON lines of a file."""
    packing = PACKINGS.get(path.suffix.lower())
    plain = path.with_suffix("") if packing else path
    name, converted = shlex.quote(path.name), shlex.quote(f"{plain.stem}-lines.jsonl")
    return f"{packing} -dc {name} | jq -c '{query}' > {converted}" if packing else f"jq -c '{query}' {name} > {converted}"
