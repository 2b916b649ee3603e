"""The header of a GGUF file, read with every length held against the file's size, and its tensors, in blocks of rows.

`gguf.GGUFReader` makes an array object of every token (Llama-3's file: 400,000), and believes the lengths that a header tells: one of 2**62 entries fills
the memory. The format: github.com/ggml-org/ggml, docs/gguf.md.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from jp_adapt.core.errors import InputError

MAX_STRINGS = 2**24  # in one array; far above every published vocabulary
MAX_DIMENSIONS = 4
_STRING, _ARRAY = 8, 9  # value types
_SCALARS = {0: "<u1", 1: "<i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 7: "?", 10: "<u8", 11: "<i8", 12: "<f8"}


@dataclass(frozen=True)
class GgufTensor:
    """Where a tensor lies: `shape` with the longest stride first, as torch has it; `offset` from the beginning of the file, in bytes."""

    name: str
    kind: int  # gguf.GGMLQuantizationType
    shape: tuple[int, ...]
    offset: int
    row_bytes: int

    @property
    def num_rows(self) -> int:
        return prod(self.shape[:-1])


class GgufFile:
    """A GGUF file: `fields` (name -> number, text, list of texts, or array of numbers) and `tensors` by name.

    Raises:
        InputError: no GGUF file, of a version or byte order that is not read, cut short, or with a header that cannot be true; the place in the file is told.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fields: dict[str, Any] = {}
        self.tensors: dict[str, GgufTensor] = {}
        try:
            with path.open("rb") as file:
                if path.stat().st_size == 0:
                    raise ValueError("is empty")
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                    _Header(data).read_into(self)
        except FileNotFoundError:
            raise InputError(f"{path}: no such file") from None
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from error
        except ValueError as error:
            raise InputError(f"{path}: not a readable GGUF file ({error}); fetch the file again") from error

    def get(self, name: str, kind: type, default: Any = None) -> Any:
        """The field `name`, which must be an int, float, bool, str or list (of texts). InputError where it is of another type, or missing without a default."""
        value = self.fields.get(name, default)
        if value is None and name not in self.fields:
            raise InputError(f"{self.path}: the header has no '{name}'; this is not the GGUF file of a Llama-family model")
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind and not (value is default and name not in self.fields):
            raise InputError(f"{self.path}: '{name}' is of type {type(value).__name__}, and {kind.__name__} is needed; fetch the file again")
        return value

    def numbers(self, name: str, count: int) -> list[Any] | None:
        """An array of `count` numbers; None where the file has none. InputError where it is something else."""
        value = self.fields.get(name)
        if value is None:
            return None
        if not isinstance(value, np.ndarray) or len(value) != count:
            raise InputError(f"{self.path}: '{name}' is not an array of {count:,} numbers; fetch the file again")
        return list(value.tolist())

    def rows(self, tensor: GgufTensor, start: int = 0, end: int | None = None) -> np.ndarray[Any, Any]:
        """Rows [start, end) of a tensor as they are stored: bytes [end - start, row_bytes]."""
        count = (tensor.num_rows if end is None else end) - start
        flat = np.fromfile(self.path, np.uint8, count * tensor.row_bytes, offset=tensor.offset + start * tensor.row_bytes)
        if flat.size < count * tensor.row_bytes:
            raise InputError(f"{self.path}: ends inside tensor '{tensor.name}'; fetch the file again")
        return flat.reshape(count, tensor.row_bytes)


class _Header:
    """Reads from the beginning of `data`; ValueError, with the place, for what cannot be true."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data, self.at, self.size = data, 0, len(data)

    def read_into(self, file: GgufFile) -> None:
        if self.data[:4] != b"GGUF":
            raise ValueError("it does not begin with 'GGUF'")
        self.at = 4
        version = self.number("<u4")
        if version & 0xFFFF == 0:
            raise ValueError("it is big-endian; only little-endian files are read")
        if version not in (2, 3):
            raise ValueError(f"version {version}; 2 and 3 are read")
        num_tensors, num_fields = self.number("<u8"), self.number("<u8")
        self.check(num_tensors, 8 + 4 + 4 + 8, "tensors")
        self.check(num_fields, 8 + 4 + 1, "fields")
        for _ in range(num_fields):
            name = self.text()
            if name in file.fields:
                raise ValueError(f"the field '{name}' stands twice")
            file.fields[name] = self.value(self.number("<u4"))
        described = [self.tensor() for _ in range(num_tensors)]
        alignment = file.fields.get("general.alignment", 32)
        if type(alignment) is not int or alignment < 1 or alignment & (alignment - 1):
            raise ValueError(f"an alignment of {alignment!r}, which is not a power of two")
        start = -(-self.at // alignment) * alignment
        for name, kind, shape, offset in described:
            if name in file.tensors:
                raise ValueError(f"the tensor '{name}' stands twice")
            file.tensors[name] = self.placed(name, kind, shape, start + offset)

    def placed(self, name: str, kind: int, shape: tuple[int, ...], offset: int) -> GgufTensor:
        from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

        if kind not in [known.value for known in GGMLQuantizationType]:
            raise ValueError(f"tensor '{name}' is of type {kind}, which the package gguf does not know")
        block, size = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
        if shape[-1] % block:
            raise ValueError(f"tensor '{name}' has {shape[-1]} columns, and its type holds blocks of {block}")
        tensor = GgufTensor(name, kind, shape, offset, shape[-1] // block * size)
        if offset + tensor.num_rows * tensor.row_bytes > self.size:
            raise ValueError(f"it has {self.size:,} bytes, and tensor '{name}' ends at {offset + tensor.num_rows * tensor.row_bytes:,}")
        return tensor

    def tensor(self) -> tuple[str, int, tuple[int, ...], int]:
        name = self.text()
        num_dimensions = self.number("<u4")
        if not 1 <= num_dimensions <= MAX_DIMENSIONS:
            raise ValueError(f"tensor '{name}' has {num_dimensions} dimensions")
        shape = tuple(self.number("<u8") for _ in range(num_dimensions))[::-1]
        if 0 in shape:
            raise ValueError(f"tensor '{name}' has the shape {list(shape)}")
        return name, self.number("<u4"), shape, self.number("<u8")

    def value(self, kind: int) -> Any:
        if kind in _SCALARS:
            return self.number(_SCALARS[kind])
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY:
            raise ValueError(f"a value of type {kind} at byte {self.at}")
        of, count = self.number("<u4"), self.number("<u8")
        if of == _STRING:
            self.check(min(count, MAX_STRINGS + self.size), 8, "texts of an array")
            if count > MAX_STRINGS:
                raise ValueError(f"an array of {count:,} texts; up to {MAX_STRINGS:,} are read")
            return self.texts(count)
        if of not in _SCALARS:
            raise ValueError(f"an array of values of type {of} at byte {self.at}")
        dtype = np.dtype(_SCALARS[of])
        self.check(count, dtype.itemsize, "numbers of an array")
        return np.frombuffer(self.take(count * dtype.itemsize), dtype)

    def texts(self, count: int) -> list[str]:
        texts, data, at, unpack = [], self.data, self.at, struct.Struct("<Q").unpack_from
        for _ in range(count):
            if at + 8 > self.size:
                raise ValueError(f"it ends at byte {self.size:,}, inside an array of texts")
            end = at + 8 + unpack(data, at)[0]
            if end > self.size:
                raise ValueError(f"a text at byte {at:,} ends at byte {end:,}, and the file at {self.size:,}")
            texts.append(_decode(data[at + 8 : end], at))
            at = end
        self.at = at
        return texts

    def text(self) -> str:
        at = self.at
        return _decode(self.take(self.number("<u8")), at)

    def number(self, dtype: str) -> Any:
        of = np.dtype(dtype)
        return np.frombuffer(self.take(of.itemsize), of)[0].item()

    def check(self, count: int, bytes_each: int, what: str) -> None:
        if count * bytes_each > self.size - self.at:
            raise ValueError(f"it has {self.size:,} bytes, too few for the {count:,} {what} that it tells of")

    def take(self, count: int) -> bytes:
        if count > self.size - self.at:
            raise ValueError(f"it ends at byte {self.size:,}, inside its header")
        taken = self.data[self.at : self.at + count]
        self.at += count
        return taken


def _decode(data: bytes, at: int) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"the text at byte {at:,} is not UTF-8") from error
