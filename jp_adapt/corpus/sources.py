"""Read documents from files and from the hub, one after the other. A document that cannot be read stops the reading, with its file and line."""

from __future__ import annotations

import glob
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from jp_adapt.core.errors import InputError
from jp_adapt.core.files import not_utf8

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_DOCUMENT_BYTES = 64 * 2**20  # one document is in memory at a time; more than this is a file without line ends or empty lines
MAX_WINDOW_BYTES = 2**31  # `zstd --long=31`, as large public corpora use it; the library's own limit is 2**27
BATCH_ROWS = 256  # rows of a .parquet in memory at a time
BUFFER_BYTES = 2**20  # of a .parquet, for each column chunk
BOM = b"\xef\xbb\xbf"
PACKED = {b"\x1f\x8b": ("gzip", ".gz"), b"\x28\xb5\x2f\xfd": ("zstd", ".zst"), b"PAR1": ("parquet", ".parquet")}  # how such a file begins
WRONG_FIELD = "name the right one with 'field:' in the source"


def iter_documents(path: Path, field: str = "text") -> Iterator[str]:
    """The documents of one file, one in memory at a time.

    A document is a line in .jsonl (the text in `field`), a row in .parquet (the text in the column `field`) and a paragraph in .txt:
    the lines between two empty lines, a line of white space counting as empty. .jsonl and .txt may be compressed, as .gz or .zst.
    A UTF-8 byte order mark at the start of a file is dropped.

    Raises:
        InputError: the file is missing, empty, not UTF-8, damaged or cut short, or a line or row is not what it must be. Nothing is skipped.
            It comes while the documents are read, the first at the first `next`.
    """
    kind = _kind(path)
    documents = _parquet(path, field) if kind == ".parquet" else _jsonl(path, field) if kind == ".jsonl" else _paragraphs(path)
    empty = True
    for document in documents:
        empty = False
        yield document
    if empty:
        raise _no_document(path)


def read_documents(path: Path, field: str = "text") -> list[str]:
    """All documents of one file, as in `iter_documents`, but a plain .txt is one document, the whole file.

    Raises:
        InputError: as in `iter_documents`.
    """
    if not path.name.lower().endswith(".txt"):
        return list(iter_documents(path, field))
    text = "".join(line for _, line in _text_lines(path))
    if not text.strip():
        raise _no_document(path)
    return [text]


def iter_hub_documents(name: str, revision: str, split: str = "train", field: str = "text", config: str | None = None) -> Iterator[str]:
    """The documents of a dataset of the Hugging Face hub, streamed: the text in the column `field` of each row.

    `name` may be a local folder of .jsonl or .parquet files, which has no revisions. Rows of an empty text are left out, since nobody
    can take them out of a dataset of the hub. No code of the dataset is run.

    Raises:
        InputError: the dataset, its revision, config, split or column is unknown, the hub cannot be reached, or a row holds no text.
    """
    empty = True
    for number, row in enumerate(_hub_rows(name, revision, split, field, config), start=1):
        if field not in row:
            raise InputError(f"{name}:row {number}: no column '{field}'; there are: {', '.join(row)}; {WRONG_FIELD}")
        text = row[field]
        if not isinstance(text, str):
            found = "null" if text is None else f"of type {type(text).__name__}"
            raise InputError(f"{name}:row {number}: column '{field}' is {found}, and text is needed; {WRONG_FIELD}, or use a mended copy")
        if text.strip():
            empty = False
            yield text
    if empty:
        raise InputError(f"{name}: split '{split}' holds no document; choose another split")


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
            raise _unreadable(Path(pattern), error) from error
    return list(files.values())


def _matches(pattern: str) -> list[Path]:
    given = Path(pattern)
    if given.is_dir():
        raise InputError(f"{pattern or '.'}: is a folder; give its files, or a pattern such as {given / '*.jsonl'}")
    if given.exists() or not glob.has_magic(pattern):  # a file may have [ in its name
        return [given]
    names = glob.glob(pattern, recursive=True)  # noqa: PTH207 (Path.glob takes no absolute pattern)
    found = [path for path in map(Path, sorted(names)) if not path.is_dir()]
    if not found:
        raise InputError(f"{pattern}: no file matches this pattern; check it")
    return found


def _kind(path: Path) -> str:
    name = path.name.lower()
    for kind in (".jsonl", ".txt"):
        if name.endswith((kind, f"{kind}.gz", f"{kind}.zst")):
            return kind
    if name.endswith(".parquet"):
        return ".parquet"
    raise InputError(f"{path}: texts are read from .jsonl and .txt (also as .gz or .zst) and from .parquet; convert this file")


def _no_document(path: Path) -> InputError:
    return InputError(f"{path}: holds no document; give a file with text")


def _unreadable(path: Path, error: OSError) -> InputError:
    if isinstance(error, FileNotFoundError):
        return InputError(f"{path}: no such file; check the path")
    if isinstance(error, IsADirectoryError):
        way_out = "give its files, or a pattern"
    elif isinstance(error, PermissionError):
        way_out = f"allow it, for example: chmod u+r {path.name}"
    else:
        way_out = "check the disk or the network drive, and run again"
    return InputError(f"{path}: cannot be read ({error.strerror or error}); {way_out}")


def _jsonl(path: Path, field: str) -> Iterator[str]:
    for number, line in _text_lines(path):
        place = f"{path}:{number}"
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:  # also an integer of more than 4300 digits, and nesting without end
            raise InputError(f"{place}: not valid JSON ({getattr(error, 'msg', error)}); mend the line") from error
        text = record.get(field) if isinstance(record, dict) else None
        if not isinstance(text, str):
            raise InputError(f"{place}: no text in field '{field}'; {WRONG_FIELD}")
        if not text.strip():
            raise InputError(f"{place}: field '{field}' is empty; take the line out")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError(f"{place}: holds a lone surrogate (U+{ord(text[error.start]):04X}), which is no text; mend the line") from error
        yield text


def _paragraphs(path: Path) -> Iterator[str]:
    lines: list[str] = []
    start = size = 0
    for number, line in _text_lines(path):
        if line.strip():
            start = start if lines else number
            size += len(line.encode("utf-8"))
            if size > MAX_DOCUMENT_BYTES:
                raise _too_long(f"{path}:{start}")
            lines.append(line)
        elif lines:
            yield "".join(lines).rstrip("\r\n")
            lines, size = [], 0
    if lines:
        yield "".join(lines).rstrip("\r\n")


def _too_long(place: str) -> InputError:
    limit = f"{MAX_DOCUMENT_BYTES:,} bytes"
    return InputError(
        f"{place}: the document that begins here has more than {limit}; put empty lines between the documents of .txt, or give .jsonl, a line each"
    )


def _text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number and text of each line, its line end kept."""
    for number, raw in enumerate(_lines(path), start=1):
        place = f"{path}:{number}"
        if number == 1:
            for magic, (name, suffix) in PACKED.items():
                if raw.startswith(magic):
                    raise InputError(f"{path}: holds {name} data and not text; give the file its right name, which ends in {suffix}")
            raw = raw.removeprefix(BOM)
        if b"\0" in raw:
            raise InputError(f"{place}: holds a NUL byte, so this is no UTF-8 text but a binary file or UTF-16; convert it (iconv -f UTF-16LE -t UTF-8)")
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            raise not_utf8(place, raw[error.start]) from error
        yield number, line


def _lines(path: Path) -> Iterator[bytes]:
    number = 0
    try:
        with ExitStack() as stack:
            file = stack.enter_context(path.open("rb"))
            lines = stack.enter_context(io.BufferedReader(_unpacked(path, file)))
            while line := lines.readline(MAX_DOCUMENT_BYTES + 1):
                number += 1
                if len(line) > MAX_DOCUMENT_BYTES:
                    raise _too_long(f"{path}:{number}")
                yield line
    except (EOFError, zlib.error, gzip.BadGzipFile, _ZstdDamageError) as error:
        packing = "gzip" if path.name.lower().endswith(".gz") else "zstd"
        raise InputError(f"{path}:{number + 1}: the {packing} file is damaged or cut short here ({error}); fetch it again") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def _unpacked(path: Path, file: BinaryIO) -> Any:
    name = path.name.lower()
    if name.endswith(".gz"):
        return gzip.GzipFile(fileobj=file, mode="rb")
    return _ZstdFile(file) if name.endswith(".zst") else file


class _ZstdDamageError(Exception):
    """The data are not zstd, or are damaged or cut short."""


class _ZstdFile(io.RawIOBase):
    """What a .zst file holds, all its frames. The reader of the library takes an end within a frame for the end of the file, and so loses text."""

    def __init__(self, file: BinaryIO) -> None:
        import zstandard

        self._file = file
        self._error = zstandard.ZstdError
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
        self._frame: Any = None  # open frame, None between two frames
        self._packed = b""
        self._text = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        while not self._text:
            if not self._packed:
                self._packed = self._file.read(2**16)
            if not self._packed:
                if self._frame is not None:
                    raise _ZstdDamageError("the file ends within a frame")
                return 0
            self._unpack()
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._text))
        target[:count], self._text = self._text[:count], self._text[count:]
        return count

    def _unpack(self) -> None:
        self._frame = self._frame or self._decompressor.decompressobj()
        try:
            self._text = memoryview(self._frame.decompress(self._packed))
        except self._error as error:
            raise _ZstdDamageError(str(error)) from error
        self._packed = b""
        if self._frame.eof:
            self._packed, self._frame = self._frame.unused_data, None


def _parquet(path: Path, field: str) -> Iterator[str]:
    import pyarrow

    try:
        with path.open("rb") as file:
            for number, raw in enumerate(_parquet_column(path, file, field), start=1):
                place = f"{path}:row {number}"
                if raw is None:
                    raise InputError(f"{place}: column '{field}' is null, and text is needed; take the row out, or {WRONG_FIELD}")
                try:
                    text = raw.decode("utf-8")
                except UnicodeDecodeError as error:
                    raise InputError(f"{place}: byte 0x{raw[error.start]:02X} is not UTF-8; write the file again as UTF-8") from error
                if not text.strip():
                    raise InputError(f"{place}: column '{field}' is empty; take the row out")
                yield text
    except pyarrow.ArrowException as error:
        raise _not_parquet(path, error) from error
    except OSError as error:
        raise (_unreadable(path, error) if error.errno else _not_parquet(path, error)) from error


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
    found = schema.field(field).type
    coded = pyarrow.types.is_dictionary(found)
    if str(found.value_type if coded else found) not in ("string", "large_string", "string_view"):
        raise InputError(f"{path}: column '{field}' holds {found} and not string; {WRONG_FIELD}, or convert the column")
    for batch in table.iter_batches(batch_size=BATCH_ROWS, columns=[field], use_threads=False):
        column = batch.column(field)
        yield from (column.dictionary_decode() if coded else column).cast(pyarrow.large_binary()).to_pylist()


def _not_parquet(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: not a parquet file, or damaged ({_one_line(error)}); fetch it again, or write it again")


def _hub_rows(name: str, revision: str, split: str, field: str, config: str | None) -> Iterator[dict[str, Any]]:
    from datasets import load_dataset
    from datasets.exceptions import DatasetNotFoundError

    place = f"{name} at {revision}"
    try:
        rows = load_dataset(name, config, revision=revision, split=split, streaming=True)
        yield from rows.select_columns([field]) if field in (rows.column_names or ()) else rows  # other columns (pictures) are not decoded
    except DatasetNotFoundError as error:
        raise InputError(f"{place}: no such dataset, or it is closed to you ({_one_line(error)}); check name and revision, or run: hf auth login") from error
    except ConnectionError as error:
        raise InputError(f"{place}: the hub cannot be reached ({_one_line(error)}); check the network, or give the folder of a local copy") from error
    except Exception as error:  # a wrong split or config, a damaged file, a lost connection: datasets and what it calls have no common error
        reason = f"{type(error).__name__}: {_one_line(error)}"
        raise InputError(f"{place}: split '{split}' cannot be read ({reason}); check name, config and split, or give the folder of a local copy") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")
