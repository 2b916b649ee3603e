"""Read documents from files, one after the other. One that cannot be read is named with its file and line, and stops the reading or is counted."""

from __future__ import annotations

import csv
import glob
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from jp_adapt.core.errors import InputError, one_line
from jp_adapt.core.files import not_utf8
from jp_adapt.core.unpack import MAX_RATIO
from jp_adapt.corpus import lines
from jp_adapt.corpus.json_lines import decoded, iter_records
from jp_adapt.corpus.lines import TEXT_FORMATS, OnError, iter_lines, kind_of, refuse, too_long, unreadable

MAX_NAMES = 200  # characters of the names of fields that an error lists
BATCH_ROWS = 4  # rows of a .parquet in memory at a time: each may be a document of 64 MiB that lies in the file once
BUFFER_BYTES = 2**20  # of a .parquet, for each column chunk
WRONG_FIELD = "name the right one: 'field: NAME' in a recipe's source, --field NAME on the command line"


def iter_documents(path: Path, field: str = "text") -> Iterator[str]:
    """The texts of `iter_placed`; the first one that cannot be read stops the reading, as an InputError when it is asked for."""
    return (text for _, text in iter_placed(path, field))


def iter_placed(path: Path, field: str = "text", on_error: OnError = refuse) -> Iterator[tuple[str, str]]:
    """(place as "file:line", text) of the documents of one file, one in memory at a time.

    A document is a line in .jsonl and .json (the text in `field`), a row in .parquet and .csv (the text in the column `field`) and a paragraph in .txt:
    the lines between two empty lines, a line of white space counting as empty. All but .parquet may be compressed, as .gz, .zst or .xz.
    A UTF-8 byte order mark at the start of a file is dropped.

    Args:
        on_error: called with an InputError for each document that cannot be read (not UTF-8, no JSON, no such field, ...), and for a file that cannot
            be read on (missing, empty, damaged, cut short). The default raises it; one that returns makes the reading continue behind it.
    """
    refused: list[InputError] = []

    def on_document(error: InputError) -> None:
        try:
            on_error(error)
        except InputError as stop:
            refused.append(stop)
            raise

    try:
        empty = True
        for placed in {".parquet": _parquet, ".jsonl": _jsonl, ".csv": _csv, ".txt": _paragraphs}[_kind(path)](path, field, on_document):
            empty = False
            yield placed
        if empty:
            raise _no_document(path)
    except InputError as error:
        if error in refused:  # the caller has seen it, and stops here
            raise
        on_error(error)


def read_documents(path: Path, field: str = "text") -> list[str]:
    """All documents of one file, as in `iter_documents`, but a plain .txt is one document, the whole file.

    Raises:
        InputError: as in `iter_documents`.
    """
    if not path.name.lower().endswith(".txt"):
        return list(iter_documents(path, field))
    text = "".join(decoded(f"{path}:{number}", line) for number, line in iter_lines(path, refuse))
    if not text.strip():
        raise _no_document(path)
    return [text]


def expand_paths(patterns: Sequence[str]) -> list[Path]:
    """The files that `patterns` name, in their order, each once; what a pattern (with * ? [ or **) finds is sorted, folders left out.

    Raises:
        InputError: a file is missing, a pattern finds no file, or a folder is given.
    """
    files: dict[Path, Path] = {}
    for pattern in patterns:
        try:
            for path in _matches(pattern):
                if not path.exists():
                    raise InputError(f"{path}: no such file; check the path")
                files.setdefault(path.resolve(), path)
        except OSError as error:  # a folder on the way that may not be entered, a name too long
            raise unreadable(Path(pattern), error) from error
    return list(files.values())


def _matches(pattern: str) -> list[Path]:
    given = Path(pattern)
    if given.is_dir():
        raise InputError(f"{pattern or '.'}: is a folder; give its files, or a pattern such as {given / '*.jsonl'}")
    if given.exists() or not glob.has_magic(pattern):  # a file may have [ in its name
        return [given]
    names = glob.glob(pattern, recursive=True)  # noqa: PTH207 (Path.glob takes no absolute pattern)
    results = [path for path in map(Path, sorted(names)) if not path.is_dir()]
    if not results:
        raise InputError(f"{pattern}: no file matches this pattern; check it")
    return results


def _kind(path: Path) -> str:
    kind = ".parquet" if path.name.lower().endswith(".parquet") else kind_of(path)
    if kind is None:
        raise InputError(f"{path}: texts are read from {TEXT_FORMATS}; convert this file")
    return kind


def _no_document(path: Path) -> InputError:
    return InputError(f"{path}: holds no document; give a file with text")


def _jsonl(path: Path, field: str, on_error: OnError) -> Iterator[tuple[str, str]]:
    for place, record in iter_records(path, on_error):
        text = record.get(field)
        if field in record and not isinstance(text, str):
            on_error(InputError(f"{place}: field '{field}' is {json.dumps(text, ensure_ascii=False)[:MAX_NAMES]}, and text is needed; take the line out"))
        elif not isinstance(text, str):
            on_error(InputError(f"{place}: no text in field '{field}'; there are: {', '.join(record)[:MAX_NAMES] or 'none'}; {WRONG_FIELD}"))
        elif not text.strip():
            on_error(InputError(f"{place}: field '{field}' is empty; take the line out"))
        else:
            yield place, text


def _csv(path: Path, field: str, on_error: OnError) -> Iterator[tuple[str, str]]:
    # A byte that is not UTF-8 is carried through as a surrogate, so that it spoils its own row and no quote is lost with it.
    before = csv.field_size_limit(lines.MAX_DOCUMENT_BYTES)
    try:
        rows = csv.reader((line.decode("utf-8", "surrogateescape") for _, line in iter_lines(path, on_error)), strict=True)
        header = next(rows, None)
        if header is None:
            return
        if header.count(field) != 1:
            _refuse_escaped(f"{path}:1", ",".join(header))
            number = "more than one" if field in header else "no"
            raise InputError(f"{path}:1: {number} column '{field}'; there are: {', '.join(header)}; {WRONG_FIELD}")
        column, start = header.index(field), rows.line_num + 1
        while True:
            try:
                row = next(rows, None)
                if row is None:
                    return
                place, start = f"{path}:{start}", rows.line_num + 1
                if row:
                    yield place, _csv_text(place, row, column, len(header), field)
            except csv.Error as error:
                place, start = f"{path}:{start}", rows.line_num + 1
                on_error(InputError(f"{place}: not valid CSV ({error}); mend the row"))
            except InputError as error:
                on_error(error)
    finally:
        csv.field_size_limit(before)


def _csv_text(place: str, row: list[str], column: int, width: int, field: str) -> str:
    if len(row) != width:
        raise InputError(f"{place}: the row has {len(row)} columns and the header {width}; mend the row (a comma in a text needs quotes around it)")
    if not row[column].strip():
        raise InputError(f"{place}: column '{field}' is empty; take the row out")
    _refuse_escaped(place, row[column])
    return row[column]


def _refuse_escaped(place: str, text: str) -> None:
    """InputError, with the line, where `text`, which begins at `place`, holds a byte that was no UTF-8 and came through as a surrogate."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        path, _, line = place.rpartition(":")
        raise not_utf8(f"{path}:{int(line) + text.count(chr(10), 0, error.start)}", ord(text[error.start]) - 0xDC00) from error


def _paragraphs(path: Path, field: str, on_error: OnError) -> Iterator[tuple[str, str]]:
    paragraph: list[str] = []
    start = size = 0
    for number, raw in chain(iter_lines(path, on_error), [(0, b"")]):
        line = raw.decode("utf-8", "surrogateescape")
        if line.strip():
            start = start if size else number
            size += len(raw)
            if size <= lines.MAX_DOCUMENT_BYTES:
                paragraph.append(line)
            elif paragraph:  # what has been read of it is too much already, and the rest of it is not kept
                on_error(too_long(f"{path}:{start}"))
                paragraph = []
            continue
        text = "".join(paragraph).rstrip("\r\n")
        paragraph, size = [], 0
        if text:
            try:
                _refuse_escaped(f"{path}:{start}", text)
            except InputError as error:
                on_error(error)
                continue
            yield f"{path}:{start}", text


def _parquet(path: Path, field: str, on_error: OnError) -> Iterator[tuple[str, str]]:
    import pyarrow

    try:
        with path.open("rb") as file:
            for number, raw in enumerate(_parquet_column(path, file, field), start=1):
                place = f"{path}:row {number}"
                try:
                    yield place, _parquet_text(place, raw, field)
                except InputError as error:
                    on_error(error)
    except pyarrow.ArrowException as error:
        raise _not_parquet(path, error) from error
    except OSError as error:
        raise (unreadable(path, error) if error.errno else _not_parquet(path, error)) from error


def _parquet_text(place: str, raw: bytes | None, field: str) -> str:
    if raw is None:
        raise InputError(f"{place}: column '{field}' is null, and text is needed; take the row out, or {WRONG_FIELD}")
    if len(raw) > lines.MAX_DOCUMENT_BYTES:
        raise InputError(f"{place}: column '{field}' has {len(raw):,} bytes, and a document at most {lines.MAX_DOCUMENT_BYTES:,}; take the row out, or cut it")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{place}: byte 0x{raw[error.start]:02X} is not UTF-8; write the file again as UTF-8") from error
    if not text.strip():
        raise InputError(f"{place}: column '{field}' is empty; take the row out")
    return text


def _parquet_column(path: Path, file: BinaryIO, field: str) -> Iterator[bytes | None]:
    """The values of a column as bytes, so that a value that is not UTF-8 can be named with its row."""
    import pyarrow
    from pyarrow import parquet

    table = parquet.ParquetFile(
        file, buffer_size=BUFFER_BYTES, pre_buffer=False, page_checksum_verification=True
    )  # not pre-buffered, else a whole row group is in memory
    schema = table.schema_arrow
    if schema.names.count(field) != 1:
        number = "more than one" if field in schema.names else "no"
        raise InputError(f"{path}: {number} column '{field}'; there are: {', '.join(schema.names) or 'none'}; {WRONG_FIELD}")
    results = schema.field(field).type
    coded = pyarrow.types.is_dictionary(results)
    if str(results.value_type if coded else results) not in ("string", "large_string", "string_view"):
        raise InputError(f"{path}: column '{field}' holds {results} and not string; {WRONG_FIELD}, or convert the column")
    if (ratio := _unpack_ratio(table.metadata, field)) > MAX_RATIO:
        raise InputError(f"{path}: column '{field}' unpacks to {ratio:,.0f} times its size, and no text does; fetch the file again")
    for batch in table.iter_batches(batch_size=BATCH_ROWS, columns=[field], use_threads=False):
        column = batch.column(field)
        yield from (column.dictionary_decode() if coded else column).cast(pyarrow.large_binary()).to_pylist()


def _unpack_ratio(metadata: Any, field: str) -> float:
    """The largest ratio of unpacked to packed bytes of a column's chunks that unpack to more than one document may have."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    chunks = [group.column(number) for group in groups for number in range(group.num_columns)]
    own = [chunk for chunk in chunks if chunk.path_in_schema == field and chunk.total_uncompressed_size > lines.MAX_DOCUMENT_BYTES]
    return max((chunk.total_uncompressed_size / max(1, chunk.total_compressed_size) for chunk in own), default=0.0)


def _not_parquet(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: not a parquet file, or damaged ({one_line(error)}); fetch it again, or write it again")


def first_chars(documents: Iterable[str], chars: int) -> list[str]:
    """Whole documents from the first on, until they hold `chars` characters; none after them is read."""
    taken, total = [], 0
    for document in documents:
        taken.append(document)
        total += len(document)
        if total >= chars:
            break
    return taken
