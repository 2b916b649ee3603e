"""The lines of a file as bytes, whatever it is packed with; what cannot be read is named with its file and line."""

from __future__ import annotations

import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from jp_adapt.core.errors import InputError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_DOCUMENT_BYTES = 64 * 2**20  # one document is in memory at a time; more than this is a file without line ends or empty lines
MAX_WINDOW_BYTES = 2**31  # `zstd --long=31`, as large public corpora use it; the library's own limit is 2**27
BOM = b"\xef\xbb\xbf"
PACKED = {b"\x1f\x8b": ("gzip", ".gz"), b"\x28\xb5\x2f\xfd": ("zstd", ".zst"), b"\xfd7zXZ": ("xz", ".xz"), b"PAR1": ("parquet", ".parquet")}
PACKINGS = {".gz": "gzip", ".zst": "zstd", ".xz": "xz"}

OnError = Callable[[InputError], None]


def refuse(error: InputError) -> None:
    """The strict way to meet a document that cannot be read: stop there. Another `OnError` counts it, and the reading goes on behind it."""
    raise error


def iter_lines(path: Path, on_error: OnError) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each line, its line end kept, a byte order mark dropped. A line that is too long or binary goes to `on_error` and is left out.

    Raises:
        InputError: nothing more can be read: the file is missing, damaged, cut short, or not what its name says.
    """
    number = 0
    try:
        with ExitStack() as stack:
            file = stack.enter_context(path.open("rb"))
            lines = stack.enter_context(io.BufferedReader(_unpacked(path, file)))
            while line := lines.readline(MAX_DOCUMENT_BYTES + 1):
                number += 1
                if len(line) > MAX_DOCUMENT_BYTES:
                    on_error(too_long(f"{path}:{number}"))
                    while line and not line.endswith(b"\n"):
                        line = lines.readline(2**20)
                    continue
                if number == 1:
                    _refuse_packed(path, line)
                    line = line.removeprefix(BOM)
                if b"\0" in line:
                    on_error(_binary(f"{path}:{number}"))
                    continue
                yield number, line
    except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, _ZstdDamageError) as error:
        packing = PACKINGS.get(path.suffix.lower(), "packed")
        raise InputError(f"{path}:{number + 1}: the {packing} file is damaged or cut short here ({error}); fetch it again") from error
    except OSError as error:
        raise unreadable(path, error) from error


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


def _unpacked(path: Path, file: BinaryIO) -> Any:
    name = path.name.lower()
    if name.endswith(".gz"):
        return gzip.GzipFile(fileobj=file, mode="rb")
    if name.endswith(".xz"):
        return lzma.LZMAFile(file) if path.stat().st_size else file  # `xz` itself takes a file of no bytes for an empty one, as gzip does
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
