"""Weights on disk, read and written one tensor at a time."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from jp_adapt.core.errors import InputError
from jp_adapt.core.files import read_json, write_json

SHARD_BYTES = 5_000_000_000
FILE, INDEX = "model.safetensors", "model.safetensors.index.json"
TYPES = {"F64": torch.float64, "F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
TYPE_NAMES = {dtype: name for name, dtype in TYPES.items()}
IGNORED = "rotary_emb.inv_freq"  # a buffer in old checkpoints, which transformers makes from the configuration


@dataclass(frozen=True)
class TensorInfo:
    """Shape and type of a tensor that has not been read."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * int(self.dtype.itemsize)


class Weights(Protocol):
    """Tensors by name, each read when it is asked for."""

    @property
    def tensors(self) -> Mapping[str, TensorInfo]: ...

    def read(self, name: str) -> Tensor: ...


class FolderWeights:
    """The safetensors of a model folder.

    A tensor that was read lies in the mapped file, and goes when nobody holds it; after `keep_open` it stays.

    Raises:
        InputError: no safetensors here, a file that the index names is missing or damaged, or the weights are quantised.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, Path] = {}
        self._kept_open: dict[Path, safe_open] = {}
        self.tensors: dict[str, TensorInfo] = {}
        for path in _weight_files(folder):
            with _opened(path) as file:
                for name in file.keys():  # noqa: SIM118 - not a mapping
                    part = file.get_slice(name)
                    if name.endswith(IGNORED):
                        continue
                    if part.get_dtype() not in TYPES:
                        raise InputError(f"{path}: {name} is of type {part.get_dtype()}; only plain floating-point weights merge, so export the model to those")
                    if name in self.tensors:
                        raise InputError(f"{path}: {name} stands in {self._files[name].name} too; remove the file that does not belong to the model")
                    self.tensors[name] = TensorInfo(tuple(part.get_shape()), TYPES[part.get_dtype()])
                    self._files[name] = path

    def read(self, name: str) -> Tensor:
        """The tensor `name` in the type of the file."""
        path = self._files[name]
        with nullcontext(self._kept_open[path]) if path in self._kept_open else _opened(path) as file:
            tensor: Tensor = file.get_tensor(name)
        return tensor

    def keep_open(self) -> None:
        """Keep the files open, for tensors that are read again and again: opening one takes a millisecond. What was read counts as memory in use."""
        self._kept_open = {path: _opened(path) for path in self._files.values()}


class NamedWeights:
    """Some tensors of a folder under names of their own: the language part of a vision-language model, as a plain model has it.

    Args:
        names: name here -> name in the folder.
    """

    def __init__(self, weights: FolderWeights, names: Mapping[str, str]) -> None:
        self.weights, self.names = weights, dict(names)
        self.tensors = {name: weights.tensors[stored] for name, stored in names.items()}

    def read(self, name: str) -> Tensor:
        """The tensor that is called `name` here, in the type of the file."""
        return self.weights.read(self.names[name])


def _weight_files(folder: Path) -> list[Path]:
    if (folder / INDEX).is_file():
        value = read_json(folder / INDEX)
        places = value.get("weight_map") if isinstance(value, dict) else None
        if not isinstance(places, dict) or not places or not all(isinstance(name, str) and Path(name).name == name for name in places.values()):
            raise InputError(f"{folder / INDEX}: has no weight_map that gives each tensor its file here; fetch the model again")
        names = sorted(set(places.values()))
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise InputError(f"{folder / INDEX}: names {missing[0]}, which is missing; fetch the model again")
        return [folder / name for name in names]
    if (folder / FILE).is_file():
        return [folder / FILE]
    pickled = sorted(path.name for path in folder.glob("*.bin"))
    reason = f"only pickled weights ({', '.join(pickled)}), which can run code when loaded; convert them to safetensors" if pickled else "no weights"
    raise InputError(f"{folder}: no {FILE} and no {INDEX} here, {reason}")


def _opened(path: Path) -> safe_open:
    try:
        return safe_open(path, "pt")
    except SafetensorError as error:
        raise InputError(f"{path}: not a whole safetensors file ({error}); fetch it again") from error


def write_weights(folder: Path, infos: Mapping[str, TensorInfo], tensors: Iterable[Tensor], *, shard_bytes: int = SHARD_BYTES) -> None:
    """Write tensors into `folder` as transformers names its files, each as it comes; the next one is made meanwhile.

    Args:
        infos: shape and type of each tensor, in the order in which they come.
        shard_bytes: largest size of a file, but for one that holds a single tensor.
    """
    shards = _shards(infos, shard_bytes)
    names = [FILE] if len(shards) == 1 else [f"model-{number:05}-of-{len(shards):05}.safetensors" for number in range(1, len(shards) + 1)]
    coming = _one_ahead(tensors)
    for name, shard in zip(names, shards, strict=True):
        _write_shard(folder / name, {tensor: infos[tensor] for tensor in shard}, coming)
    if len(shards) > 1:
        places = {tensor: name for name, shard in zip(names, shards, strict=True) for tensor in shard}
        write_json(folder / INDEX, {"metadata": {"total_size": sum(info.bytes for info in infos.values())}, "weight_map": places})


def _one_ahead(tensors: Iterable[Tensor]) -> Iterator[Tensor]:
    """The same tensors, each made in another thread while the one before is in use."""
    coming = iter(tensors)
    with ThreadPoolExecutor(1) as thread:
        made = thread.submit(next, coming, None)
        while (tensor := made.result()) is not None:
            made = thread.submit(next, coming, None)
            yield tensor


def _shards(infos: Mapping[str, TensorInfo], shard_bytes: int) -> list[list[str]]:
    shards: list[list[str]] = []
    size = 0
    for name, info in infos.items():
        if not shards or size + info.bytes > shard_bytes:
            shards.append([])
            size = 0
        shards[-1].append(name)
        size += info.bytes
    return shards


def _write_shard(path: Path, infos: Mapping[str, TensorInfo], tensors: Iterator[Tensor]) -> None:
    """A safetensors file: the length of the header (8 bytes, little-endian), the header in JSON, the tensors' bytes one after the other."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, info in infos.items():
        header[name] = {"dtype": TYPE_NAMES[info.dtype], "shape": info.shape, "data_offsets": [end, end + info.bytes]}
        end += info.bytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for info in infos.values():
            tensor = next(tensors)
            assert (tuple(tensor.shape), tensor.dtype) == (info.shape, info.dtype)
            file.write(tensor.contiguous().view(-1).view(torch.uint8).numpy())


def common_type(types: Sequence[torch.dtype]) -> torch.dtype:
    """The smallest type that holds the values of all."""
    result = types[0]
    for other in types[1:]:
        result = torch.promote_types(result, other)
    return result
