"""The records of a benchmark's files, in the layouts that upstream repositories have."""

from __future__ import annotations

import ast
import csv
import glob
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from xml.etree import ElementTree

from jp_adapt.benchmarks.benchmark import Split
from jp_adapt.benchmarks.haystack import haystack_records
from jp_adapt.core.errors import InputError, one_line
from jp_adapt.core.files import is_file, not_utf8
from jp_adapt.core.foreign_json import parse_json
from jp_adapt.core.hashes import sha256_file
from jp_adapt.core.unpack import DamageError, UnpackedFile, open_unpacked

Record = dict[str, Any]
BOM = "\ufeff"
MAX_DATA_BYTES = 128 * 2**20  # of a file, unpacked: the largest one of a shipped declaration has 47 MB
MAX_RECORDS = 1_000_000
MAX_PYTHON = 2**20
BATCH_ROWS = 16  # of a parquet file in memory at a time


@dataclass(frozen=True)
class Records:
    """The records of a split, the place (file:line) of each, and the hash of every file that was read."""

    records: list[Record]
    places: list[str]
    sha256: dict[str, str]


def read_split(split: Split, folder: Path) -> Records:
    """Read all files of a split. InputError, with file:line, for a file that is missing, empty, broken or not UTF-8."""
    records: list[Record] = []
    places: list[str] = []
    sha256: dict[str, str] = {}
    files = [results for pattern in split.files for results in _expand(folder, pattern)]
    together = _parallel if split.reader == "lines" else _haystacks if split.haystack is not None else None
    parts = [together(files, split)] if together is not None else [_records(path, member, split) for path, member in files]
    joined = _joined(split, folder, sha256) if split.join is not None else {}
    for path, _ in files:
        sha256[path.relative_to(folder).as_posix()] = sha256_file(path)
    for (path, _), part in zip(files, parts, strict=False):
        for number, record in part:
            if len(records) == MAX_RECORDS:
                raise InputError(f"{path}: more than {MAX_RECORDS:,} records; a benchmark is read in one piece")
            if split.rename:
                record = {split.rename.get(name, name): value for name, value in record.items()}
            records.append(record | _part_of(record, split, joined) | {"_file": path.name.split(".")[0], "_line": number, "_index": len(records)})
            places.append(f"{path}:{number}" if number else f"{path}: record {len(records)}")
    return Records(records, places, sha256)


def _part_of(record: Record, split: Split, joined: dict[Any, Record]) -> Record:
    """What the joined files say of a record; nothing where they know none of its key."""
    key = record.get(split.join.by) if split.join is not None else None
    return joined.get(key, {}) if isinstance(key, (str, int)) else {}


def _joined(split: Split, folder: Path, sha256: dict[str, str]) -> dict[Any, Record]:
    """The records of the files that a split is joined with, by the field that they are joined by. InputError for one without it, or of which there are two."""
    assert split.join is not None
    found: dict[Any, Record] = {}
    for path, member in (results for pattern in split.join.files for results in _expand(folder, pattern)):
        sha256[path.relative_to(folder).as_posix()] = sha256_file(path)
        for number, record in _records(path, member, split):
            key = record.get(split.join.by)
            if not isinstance(key, (str, int)):
                raise InputError(f"{path}:{number}: no '{split.join.by}' that tells whose part this is")
            if key in found:
                raise InputError(f"{path}:{number}: a second part of {split.join.by} '{key}'")
            found[key] = record
    return found


def _expand(folder: Path, pattern: str) -> list[tuple[Path, str]]:
    """(file, member of the zip or "") of a path or pattern inside `folder`."""
    name, _, member = pattern.partition("!")
    if any(char in name for char in "*?["):
        results = sorted(glob.glob(name, root_dir=folder, recursive=True))  # noqa: PTH207 (Path.glob refuses `a**b`, and matches hidden files)
        if not results:
            raise InputError(f"{folder / name}: no such file; is the benchmark's repository complete there?")
        return [(folder / path, member) for path in results]
    if not is_file(folder / name):
        raise InputError(f"{folder / name}: no such file; give with --data the folder that holds the benchmark's repository")
    return [(folder / name, member)]


def _read(path: Path, member: str) -> str:
    """The text of a file, unpacked. A byte order mark at its beginning is dropped: spreadsheets write it, and it belongs to no field."""
    try:
        with ExitStack() as stack:
            file: IO[bytes]
            if member:
                archive = stack.enter_context(zipfile.ZipFile(path))
                file = stack.enter_context(archive.open(member))
            else:
                packed = open_unpacked(path, stack.enter_context(path.open("rb")))
                file = stack.enter_context(io.BufferedReader(packed)) if isinstance(packed, UnpackedFile) else packed
            data = file.read(MAX_DATA_BYTES + 1)
            if not member and isinstance(packed, UnpackedFile) and packed.garbage:
                raise DamageError("other data follow the last packed part")
    except KeyError:
        raise InputError(f"{path}: no member '{member}' in this archive") from None
    except (OSError, EOFError, DamageError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, RuntimeError, ValueError, struct.error) as error:
        # zipfile: RuntimeError for a password and, as NotImplementedError, for a packing that it does not know; ValueError and struct.error where it is damaged
        raise InputError(f"{path}: cannot be read ({one_line(error)})") from error
    if len(data) > MAX_DATA_BYTES:
        raise InputError(f"{path}: holds more than {MAX_DATA_BYTES:,} bytes; a benchmark is read in one piece")
    try:
        return data.decode("utf-8").removeprefix(BOM)
    except UnicodeDecodeError as error:
        raise not_utf8(f"{path}:{data.count(bytes([10]), 0, error.start) + 1}", data[error.start]) from error


def _records(path: Path, member: str, split: Split) -> Iterator[tuple[int, Record]]:
    """(line or 0, record) of one file."""
    if split.reader == "parquet":
        yield from _parquet(path, split)
        return
    text = _read(path, member)
    if split.reader == "jsonl":
        yield from _jsonl(text, path)
    elif split.reader in ("csv", "tsv"):
        yield from _table(text, path, split)
    elif split.reader == "python":
        yield from ((0, record) for record in _descend(_constant(text, split.rows[0], path), split.rows[1:], path))
    elif split.reader == "xml":
        try:
            root = ElementTree.fromstring(text)
        except ElementTree.ParseError as error:
            raise InputError(f"{path}:{error.position[0]}: not valid XML ({error})") from error
        yield from ((0, _element(node)) for node in root.iter(split.rows[-1]))
    else:
        value = parse_json(text, str(path), number_lines=True)
        yield from ((0, record) for record in _descend(value, split.rows, path))


def _jsonl(text: str, path: Path) -> Iterator[tuple[int, Record]]:
    for number, line in enumerate(text.split("\n"), start=1):  # not splitlines: U+2028 may stand inside a text
        if line.strip():
            value = parse_json(line, f"{path}:{number}")
            if not isinstance(value, dict):
                raise InputError(f"{path}:{number}: not a JSON object")
            yield number, value


def _table(text: str, path: Path, split: Split) -> Iterator[tuple[int, Record]]:
    """Rows of a table; a tab-separated one has no quotes (a quote there is text, as in JSICK and MGSM)."""
    csv.field_size_limit(1 << 24)
    lines = io.StringIO(text, newline="")
    rows = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE) if split.reader == "tsv" else csv.reader(lines)
    names = split.columns
    try:
        for row in rows:
            if names is None:
                names = row
            elif row:
                if len(row) != len(names):
                    raise InputError(f"{path}:{rows.line_num}: {len(row)} columns, and there are {len(names)}: {', '.join(names)}")
                yield rows.line_num, dict(zip(names, row, strict=True))
    except csv.Error as error:
        raise InputError(f"{path}:{rows.line_num}: not a table that can be read ({error})") from error


def _parquet(path: Path, split: Split) -> Iterator[tuple[int, Record]]:
    import pyarrow.parquet as parquet
    from pyarrow import ArrowException

    size = 0
    try:
        for batch in parquet.ParquetFile(path).iter_batches(batch_size=BATCH_ROWS):
            size += batch.nbytes
            if size > MAX_DATA_BYTES:
                raise InputError(f"{path}: unpacks to more than {MAX_DATA_BYTES:,} bytes; a benchmark is read in one piece")
            for record in batch.to_pylist():
                yield from ((0, part) for part in (_descend(record, split.rows, path) if split.rows else [record]))
    except (ArrowException, OSError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: not a parquet file that can be read ({one_line(error)})") from error


def _parallel(files: list[tuple[Path, str]], split: Split) -> Iterator[tuple[int, Record]]:
    """Line n of every file together, under the names of `columns` (a parallel corpus)."""
    texts = [_read(path, member).removesuffix("\n").split("\n") for path, member in files]
    if len(set(map(len, texts))) != 1:
        raise InputError(f"{files[0][0]}: {len(texts[0])} lines, and {files[1][0]} has {len(texts[1])}; parallel files have as many lines as each other")
    names = split.columns or [path.name for path, _ in files]
    yield from ((number, dict(zip(names, lines, strict=True))) for number, lines in enumerate(zip(*texts, strict=True), start=1))


def _haystacks(files: list[tuple[Path, str]], split: Split) -> Iterator[tuple[int, Record]]:
    """Haystacks of the text of all files, one behind the other."""
    text = "\n".join(_read(path, member).strip() for path, member in files)
    assert split.haystack is not None
    try:
        yield from ((0, record) for record in haystack_records(text, split.haystack))
    except ValueError as error:
        raise InputError(f"{files[0][0]}: {error}") from error


def _constant(text: str, name: str, path: Path) -> Any:
    """The value of a constant of a Python file, parsed and never run (MGSM's examples are published so)."""
    if len(text) > MAX_PYTHON:
        raise InputError(f"{path}: has more than {MAX_PYTHON:,} characters, too many for a file of constants")
    try:
        for statement in ast.parse(text).body:
            if isinstance(statement, ast.Assign) and any(isinstance(target, ast.Name) and target.id == name for target in statement.targets):
                return ast.literal_eval(statement.value)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:  # the last two: Python's parser, of deep nesting
        raise InputError(f"{path}: '{name}' is not a constant that can be read ({one_line(error)})") from error
    raise InputError(f"{path}: no constant '{name}'")


def _descend(value: Any, keys: list[str], path: Path) -> Iterator[Record]:
    """The records at the end of `keys`; what stands beside each key on the way is merged into them."""
    if isinstance(value, list):
        for entry in value:
            yield from _descend(entry, keys, path)
    elif not isinstance(value, dict):
        raise InputError(f"{path}: expected JSON objects, and found {str(value)[:40]!r}")
    elif not keys:
        yield from (value.values() if value and all(isinstance(entry, dict) for entry in value.values()) else [value])
    elif keys[0] not in value:
        raise InputError(f"{path}: an object has no '{keys[0]}'; it has: {', '.join(map(str, value))}")
    else:
        above = {key: entry for key, entry in value.items() if key != keys[0]}
        yield from (above | record for record in _descend(value[keys[0]], keys[1:], path))


def _element(node: ElementTree.Element) -> Record:
    """An XML element as a record: attributes, and children by tag. A child that has children itself is a list of their texts, and what several such children
    of one tag have stands in one list; those of a tag T below it alone stand under CHILD_T, too."""
    record: Record = dict(node.attrib)
    for child in node:
        if len(child) == 0:
            record[child.tag] = (child.text or "").strip()
            continue
        for entry in child:
            for name in (child.tag, f"{child.tag}_{entry.tag}"):
                texts = record.get(name)
                record[name] = [*(texts if isinstance(texts, list) else []), (entry.text or "").strip()]
    return record
