"""The lines of a file as bytes, packed or not. Anything that cannot be read is reported with its file and line."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from jp_adapt.core.errors import InputError
from jp_adapt.core.unpack import MAX_RATIO, PACKINGS, DamageError, UnpackedFile, open_unpacked

MAX_DOCUMENT_BYTES = 64 * 2**20  # one document is in memory at a time; more than this is a file without line ends or empty lines
BOM = b"\xef\xbb\xbf"
PACKED = {b"\x1f\x8b": ("gzip", ".gz"), b"\x28\xb5\x2f\xfd": ("zstd", ".zst"), b"\xfd7zXZ": ("xz", ".xz"), b"PAR1": ("parquet", ".parquet")}

TEXT_FORMATS = ".jsonl, .csv and .txt (also as .gz, .zst or .xz) and from .parquet"
KINDS = {".jsonl": ".jsonl", ".json": ".jsonl", ".txt": ".txt", ".csv": ".csv"}  # .json as the hub's C4 names its JSON lines

OnError = Callable[[InputError], None]


def refuse(error: InputError) -> None:
    """The strict way to treat a document that cannot be read: stop. Another `OnError` may count it and let reading continue."""
    raise error


def kind_of(path: Path) -> str | None:
    """ ".jsonl", ".txt" or ".csv" by the file's name, packed or not; None for any other."""
    name = path.name.lower()
    return next((kind for ending, kind in KINDS.items() if name.endswith(tuple(ending + packing for packing in ("", *PACKINGS)))), None)


def iter_lines(path: Path, on_error: OnError) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each line, its line end kept, a byte order mark dropped. A line that is too long or binary goes to `on_error` and is left out.

    Raises:
        InputError: nothing more can be read: the file is missing, damaged, cut short, or not what its name says. All that is sound was given before.
    """
    number = 0
    try:
        with ExitStack() as stack:
            file = open_unpacked(path, stack.enter_context(path.open("rb")))
            lines = stack.enter_context(io.BufferedReader(file)) if isinstance(file, UnpackedFile) else file
            while line := lines.readline(MAX_DOCUMENT_BYTES + 1):
                number += 1
                if len(line) > MAX_DOCUMENT_BYTES:
                    on_error(too_long(f"{path}:{number}"))
                    _pass_over(lines, line)
                    continue
                if number == 1:
                    _refuse_packed(path, line)
                    line = line.removeprefix(BOM)
                if b"\0" in line:
                    on_error(_binary(f"{path}:{number}"))
                    continue
                yield number, line
            if isinstance(file, UnpackedFile) and file.garbage:
                on_error(_damaged(path, number, "other data follow the last packed part"))
    except DamageError as error:
        raise _damaged(path, number, str(error)) from error
    except OSError as error:
        raise unreadable(path, error) from error


def _pass_over(lines: BinaryIO, line: bytes) -> None:
    """Read a line to its end and keep nothing. DamageError where that is a bomb: it would continue for hours."""
    file = getattr(lines, "raw", None)
    start = (file.packed_bytes, file.unpacked_bytes) if isinstance(file, UnpackedFile) else (0, 0)
    while line and not line.endswith(b"\n"):
        line = lines.readline(2**20)
        if isinstance(file, UnpackedFile) and file.unpacked_bytes - start[1] > max(MAX_DOCUMENT_BYTES, MAX_RATIO * (file.packed_bytes - start[0])):
            raise DamageError(f"a line unpacks to more than {MAX_RATIO:,} times its size, and no text does")


def _damaged(path: Path, number: int, reason: str) -> InputError:
    packing = PACKINGS[path.suffix.lower()]
    return InputError(f"{path}:{number + 1}: the {packing} file is damaged or cut short here ({reason}); fetch it again")


def too_long(place: str) -> InputError:
    """The error for a document of more than MAX_DOCUMENT_BYTES."""
    limit = f"{MAX_DOCUMENT_BYTES:,} bytes"
    return InputError(
        f"{place}: the document that begins here has more than {limit}; put empty lines between the documents of .txt, or give .jsonl, a line each"
    )


def unreadable(path: Path, error: OSError) -> InputError:
    """The error for a file that the system does not give."""
    if isinstance(error, FileNotFoundError):
        return InputError(f"{path}: no such file; check the path")
    if isinstance(error, IsADirectoryError):
        way_out = "give its files, or a pattern"
    elif isinstance(error, PermissionError):
        way_out = f"allow it, for example: chmod u+r {path.name}"
    else:
        way_out = "check the disk or the network drive, and run again"
    return InputError(f"{path}: cannot be read ({error.strerror or error}); {way_out}")


def _refuse_packed(path: Path, line: bytes) -> None:
    for magic, (name, suffix) in PACKED.items():
        if line.startswith(magic):
            raise InputError(f"{path}: holds {name} data and not text; give the file its right name, which ends in {suffix}")


def _binary(place: str) -> InputError:
    return InputError(f"{place}: holds a NUL byte, so this is no UTF-8 text but a binary file or UTF-16; convert it (iconv -f UTF-16LE -t UTF-8)")
