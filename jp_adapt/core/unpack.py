"""Packed files (gzip, zstd, xz) as a stream of bytes in bounded memory. Everything before a damaged part is returned before the damage is reported."""

from __future__ import annotations

import io
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PACKINGS = {".gz": "gzip", ".zst": "zstd", ".xz": "xz"}
PIECE_BYTES = 256  # packed bytes unpacked at a time: at most 8 MiB of zstd (4 bytes can be a block of 128 KiB), 2 MiB of xz, 0.3 MiB of gzip
READ_BYTES = 2**16
MAX_WINDOW_BYTES = 2**31  # `zstd --long=31`, as large public corpora use it; the library's own limit is 2**27
LARGE_WINDOW_BYTES = 2**27  # a larger window is memory that only a large file may ask for
MAX_XZ_BYTES = 2**28  # what unpacking xz may take: `xz -9` takes 65 MiB
MAX_RATIO = 1000  # text packs 3 to 10 times, logs and dumps with every version of a page 100 times


class DamageError(Exception):
    """The data are not what the name says, damaged, cut short, or unpack to far more than text does; the message is a short reason without the file."""


class Codec(Protocol):
    """One member (of gzip), stream (of xz) or frame (of zstd): what zlib, lzma and zstandard have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


def open_unpacked(path: Path, file: BinaryIO) -> BinaryIO | UnpackedFile:
    """`file` itself, or its unpacked contents if the name of `path` ends in .gz, .zst or .xz."""
    packing = PACKINGS.get(path.suffix.lower())
    return file if packing is None else UnpackedFile(file, packing)


class UnpackedFile(io.RawIOBase):
    """The contents of all members of a packed file, one after the other.

    Attributes:
        packed_bytes: how many have been unpacked so far.
        unpacked_bytes: how many came of them.
        garbage: whether reading ended because the last member is followed by something else.
    """

    def __init__(self, file: BinaryIO, packing: str) -> None:
        self.packed_bytes = self.unpacked_bytes = 0
        self.garbage = False
        self._file, self._packing = file, packing
        self._magic, self._padding, self._open, self._errors = _format(packing)
        self._member: Codec | None = None  # None between two members
        self._window = 0
        self._packed, self._at = b"", 0  # read from the file, and how much of that is done
        self._text = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Raises DamageError, after all bytes that could be unpacked before the damage."""
        while not self._text:
            if self._member is None and not self._begin():
                return 0
            self._unpack()
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._text))
        target[:count], self._text = self._text[:count], self._text[count:]
        return count

    def _begin(self) -> bool:
        """Open the next member. False at the end of the file."""
        header = self._peek()
        while self._padding and header[:1] == self._padding:
            self._at += len(header) - len(header.lstrip(self._padding))
            header = self._peek()
        if not header or self.garbage:
            return False
        if not header.startswith(self._magic):
            if not self.packed_bytes:
                raise DamageError("Not a gzipped file" if self._packing == "gzip" else f"Not a {self._packing} file")
            self.garbage = True
            return False
        self._window = _zstd_window(header) if self._packing == "zstd" else 0
        self._member = self._open()
        return True

    def _peek(self) -> bytes:
        """The next packed bytes: PIECE_BYTES of them, or fewer at the end of the file."""
        while len(self._packed) < self._at + PIECE_BYTES and (more := self._file.read(READ_BYTES)):
            self._packed, self._at = self._packed[self._at :] + more, 0
        return self._packed[self._at : self._at + PIECE_BYTES]

    def _unpack(self) -> None:
        assert self._member is not None
        piece = self._peek()
        if not piece:
            raise DamageError("Compressed file ended before its end marker")
        try:
            self._text = memoryview(self._member.decompress(piece))
        except self._errors as error:
            raise DamageError(str(error).rpartition(": ")[2].replace("incorrect data check", "CRC check failed")) from error
        done = len(piece) - len(self._member.unused_data)
        self._at += done
        self.packed_bytes += done
        self.unpacked_bytes += len(self._text)
        if self._window > LARGE_WINDOW_BYTES < self.unpacked_bytes > MAX_RATIO * self.packed_bytes:
            raise DamageError(f"it unpacks to more than {MAX_RATIO:,} times its size, and no text does")
        if self._member.eof:
            self._member = None


def _format(packing: str) -> tuple[tuple[bytes, ...], bytes, Callable[[], Codec], tuple[type[Exception], ...]]:
    """What a member begins with, what may stand between two, what opens one, and the errors that it may raise."""
    if packing == "gzip":
        return (b"\x1f\x8b",), b"\0", lambda: zlib.decompressobj(zlib.MAX_WBITS | 16), (zlib.error,)
    if packing == "xz":
        return (b"\xfd7zXZ\0",), b"\0", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, MAX_XZ_BYTES), (lzma.LZMAError,)
    import zstandard

    skippable = tuple(bytes([byte]) + b"\x2a\x4d\x18" for byte in range(0x50, 0x60))
    library: Any = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES)
    return (b"\x28\xb5\x2f\xfd", *skippable), b"", library.decompressobj, (zstandard.ZstdError,)


def _zstd_window(header: bytes) -> int:
    import zstandard

    try:
        return int(zstandard.get_frame_parameters(header).window_size)
    except zstandard.ZstdError:
        return 0  # cut short within the header, which unpacking tells
