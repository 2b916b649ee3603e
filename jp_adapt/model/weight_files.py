"""The weights of a model folder, read in blocks of rows: never more than a block is in memory, whatever the size of the files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub import get_local_safetensors_metadata
from huggingface_hub.errors import NotASafetensorsRepoError, SafetensorsParsingError

from jp_adapt.core.errors import InputError

# bfloat16 is no type of numpy: its 16 bits are the upper half of a float32.
DTYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": np.dtype("<u2")}
Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class _Place:
    file: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int


class WeightFiles:
    """The tensors of the safetensors files of a folder, by name.

    Raises:
        InputError: no safetensors, a file that is missing or cut short, a header that cannot be true, or weights of another type.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            metadata = get_local_safetensors_metadata(folder)
        except NotASafetensorsRepoError:
            raise InputError(f"{folder}: no model.safetensors and no model.safetensors.index.json here; give the folder of a model with safetensors") from None
        except (SafetensorsParsingError, ValueError, TypeError, AttributeError, UnicodeDecodeError, RecursionError) as error:
            raise InputError(f"{folder}: its safetensors cannot be read ({' '.join(str(error).split())}); fetch them again") from error
        except OSError as error:
            raise InputError(f"{error.filename or folder}: cannot be read ({error.strerror}); the folder is not whole, fetch it again") from error
        self._places: dict[str, _Place] = {}
        for file, content in metadata.files_metadata.items():
            self._add(folder / file, content.tensors)
        lost = [name for name, file in metadata.weight_map.items() if name not in self._places]
        if lost:
            raise InputError(f"{folder}: the index names {len(lost)} tensors that its files do not hold, {lost[0]} for example; fetch the folder again")

    def _add(self, file: Path, tensors: dict[str, Any]) -> None:
        with file.open("rb") as opened:
            start = 8 + int.from_bytes(opened.read(8), "little")
        size = file.stat().st_size
        for name, tensor in tensors.items():
            shape, (begin, end) = tuple(tensor.shape), tensor.data_offsets
            if tensor.dtype not in DTYPES:
                raise InputError(f"{file}: {name} is of type {tensor.dtype}; weights are read in {', '.join(DTYPES)}")
            if end - begin != DTYPES[tensor.dtype].itemsize * int(np.prod(shape, dtype=object)) or begin < 0:
                raise InputError(f"{file}: {name} of shape {list(shape)} has {end - begin} bytes, which is another size; fetch the file again")
            if start + end > size:
                raise InputError(f"{file}: has {size:,} bytes, and {name} ends at {start + end:,}; the file is cut short, fetch it again")
            self._places[name] = _Place(file, tensor.dtype, shape, start + begin)

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def names(self) -> Iterable[str]:
        return self._places.keys()

    def dtype(self, name: str) -> str:
        """F32, F16 or BF16."""
        return self._places[name].dtype

    def shape(self, name: str) -> tuple[int, ...]:
        return self._places[name].shape

    def rows(self, name: str, start: int, end: int) -> Array:
        """Rows [start, end) as they are stored; bfloat16 as uint16."""
        place = self._places[name]
        dtype, columns = DTYPES[place.dtype], int(np.prod(place.shape[1:], dtype=np.int64))
        flat: Array = np.fromfile(place.file, dtype, (end - start) * columns, offset=place.offset + start * columns * dtype.itemsize)
        return flat.reshape(end - start, *place.shape[1:])


def as_float32(rows: Array, dtype: str) -> Array:
    """Stored rows as float32, which holds every value of the three types."""
    if dtype == "BF16":
        return (rows.astype(np.uint32) << 16).view(np.float32)
    return rows.astype(np.float32, copy=False)
