"""Safetensors files: their header without torch, their tensors with it, and one error for a file that is damaged or lies about what it holds.

The format: eight bytes of the header's length, the header as JSON, the tensors (github.com/huggingface/safetensors, README, Format).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jp_adapt.core.errors import InputError, one_line
from jp_adapt.core.foreign_json import parse_json

if TYPE_CHECKING:
    from torch import Tensor

MAX_HEADER_BYTES = 100_000_000  # the format's own bound
BITS = {"BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "I16": 16, "U16": 16, "F16": 16, "BF16": 16}
BITS |= {"I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64, "C64": 64}


def read_header(path: Path) -> dict[str, Any]:
    """The header of a file: name -> dtype, shape, data_offsets; `__metadata__` is left out. InputError where it does not fit the file that it stands in."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > MAX_HEADER_BYTES:
                raise _damaged(path, f"a header of {length:,} bytes")
            text = file.read(length)
            end = file.seek(0, 2)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    header = parse_json(text, str(path), max_bytes=MAX_HEADER_BYTES)
    if not isinstance(header, dict):
        raise _damaged(path, "the header is not a JSON object")
    header.pop("__metadata__", None)
    size = 0
    for name, tensor in sorted(header.items(), key=lambda item: _offsets(path, item[0], item[1])):
        first, last = _offsets(path, name, tensor)
        if first != size:
            raise _damaged(path, f"'{name[:80]}' begins at {first:,}, and what stands before it ends at {size:,}")
        size = last
    if end != 8 + length + size:
        raise _damaged(path, f"{end:,} bytes, and its header tells of {8 + length + size:,}")
    return header


def _offsets(path: Path, name: str, tensor: Any) -> tuple[int, int]:
    """Where the bytes of a tensor begin and end, as many as its shape and type take."""
    try:
        first, last = tensor["data_offsets"]
        if not all(type(number) is int and number >= 0 for number in (first, last, *tensor["shape"])):
            raise ValueError("not whole numbers")
        bits = math.prod(tensor["shape"]) * BITS[tensor["dtype"]]
    except (TypeError, KeyError, ValueError) as error:
        raise _damaged(path, f"'{name[:80]}' has no dtype, shape and data_offsets that can be read") from error
    if 8 * (last - first) != bits:
        raise _damaged(path, f"'{name[:80]}' has {last - first} bytes, and its shape takes {bits // 8}")
    return first, last


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a file, on the CPU."""
    from safetensors.torch import load_file

    with whole(path):
        tensors: dict[str, Tensor] = load_file(path)
        return tensors


def write_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: Mapping[str, str]) -> None:
    """Write a file: the same bytes for the same tensors and metadata. safetensors 0.8.0 writes the keys of the metadata in another order each time."""
    from safetensors.torch import save_file

    save_file(dict(tensors), path, metadata=dict(metadata))
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = parse_json(file.read(length), str(path), max_bytes=MAX_HEADER_BYTES)
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8").ljust(length)
        assert len(text) == length, "the same JSON in another order"
        file.seek(8)
        file.write(text)


def read_metadata(path: Path) -> dict[str, str]:
    """What was noted when the file was written."""
    from safetensors import safe_open

    with whole(path), safe_open(path, "pt") as file:
        return dict(file.metadata() or {})


@contextmanager
def whole(path: Path) -> Iterator[None]:
    """Read a file with the library; InputError where it is missing, damaged or lies about what it holds."""
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        raise _damaged(path, one_line(error)) from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def _damaged(path: Path, reason: str) -> InputError:
    return InputError(f"{path}: not a whole safetensors file ({reason}); fetch it again")
