"""Token shards: what a prepared corpus is made of, readable by numpy alone.

    index = json.load(open("corpus/index.json"))
    tokens = np.memmap("corpus/tokens-00000.bin", index["dtype"], "r")
    offsets = np.memmap("corpus/offsets-00000.bin", "uint64", "r")  # document i of the shard is tokens[offsets[i]:offsets[i + 1]]
    sources = np.memmap("corpus/sources-00000.bin", "uint16", "r")  # and comes from index["sources"][sources[i]]["name"]
    chars = np.memmap("corpus/chars-00000.bin", "uint32", "r")      # and was so many characters long

All numbers are little-endian. Documents stand in corpus order: source by source, file by file, as they stand there. The last token of each is
index["document_end"], which ends it. In format 1, of versions before December 2026, documents have no such token, and the index no `document_end`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from jp_adapt.core.errors import InputError
from jp_adapt.core.files import read_json
from jp_adapt.corpus.pack import Numbers

FORMAT = 2
NO_END = "prepared by an earlier version (format 1), so no token ends its documents"
PARTS: dict[str, np.dtype[Any]] = {"offsets": np.dtype("<u8"), "sources": np.dtype("<u2"), "chars": np.dtype("<u4")}


def token_dtype(vocab_size: int) -> np.dtype[Any]:
    """The smallest type that holds every id."""
    return np.dtype("<u2") if vocab_size <= 2**16 else np.dtype("<u4")


@dataclass(frozen=True, eq=False)
class Shard:
    """One shard, memory-mapped: nothing is read before it is asked for."""

    tokens: npt.NDArray[Any]
    offsets: npt.NDArray[np.uint64]
    sources: npt.NDArray[np.uint16]
    chars: npt.NDArray[np.uint32]


@dataclass(frozen=True, eq=False)
class SourceDocuments:
    """The documents of one source over all shards, in corpus order.

    Attributes:
        sizes, chars: [N] tokens and characters of each.
        shard_of, start_of: [N] where it begins.
    """

    shards: tuple[Shard, ...]
    sizes: Numbers
    chars: Numbers
    shard_of: Numbers
    start_of: Numbers

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: int) -> npt.NDArray[np.generic]:
        start = int(self.start_of[index])
        return self.shards[int(self.shard_of[index])].tokens[start : start + int(self.sizes[index])]


class TokenShards:
    """A prepared corpus, opened for reading.

    Raises:
        InputError: the folder is none or of a later format, or a file of it is missing or has another size than the index says.
    """

    def __init__(self, folder: Path) -> None:
        if not (folder / "index.json").is_file():
            raise InputError(f"{folder}: no prepared corpus (it has no index.json); make one: jp-adapt corpus prepare RECIPE --out {folder}")
        self.folder = folder
        self.index: dict[str, Any] = read_json(folder / "index.json")
        if self.index["format"] not in range(1, FORMAT + 1):
            raise InputError(f"{folder}: is of format {self.index['format']}, and this version reads formats 1 to {FORMAT}; install the version that wrote it")
        self.shards = tuple(self._open(number, record) for number, record in enumerate(self.index["shards"]))

    @property
    def names(self) -> list[str]:
        """The sources, in their order."""
        return [source["name"] for source in self.index["sources"]]

    @property
    def document_end(self) -> int | None:
        """Id of the token that ends every document. None where none does: in format 1, and where there are no tokens."""
        end = self.index.get("document_end")
        return None if end is None else int(end)

    def documents(self, source: str) -> SourceDocuments:
        """The documents of one source."""
        number = self.names.index(source)
        own = [np.flatnonzero(shard.sources == number) for shard in self.shards]
        sizes = [np.diff(shard.offsets.astype(np.int64))[results] for shard, results in zip(self.shards, own, strict=True)]
        chars = [shard.chars[results].astype(np.int64) for shard, results in zip(self.shards, own, strict=True)]
        starts = [shard.offsets[results].astype(np.int64) for shard, results in zip(self.shards, own, strict=True)]
        shards = [np.full(len(results), shard, dtype=np.int64) for shard, results in enumerate(own)]
        return SourceDocuments(self.shards, np.concatenate(sizes), np.concatenate(chars), np.concatenate(shards), np.concatenate(starts))

    def _open(self, number: int, record: dict[str, Any]) -> Shard:
        documents, tokens = record["documents"], record["tokens"]
        counts = {"offsets": documents + 1, "sources": documents, "chars": documents}
        parts = {name: self._map(name, number, dtype, counts[name]) for name, dtype in PARTS.items()}
        return Shard(self._map("tokens", number, np.dtype(self.index["dtype"]), tokens), **parts)

    def _map(self, name: str, number: int, dtype: np.dtype[Any], count: int) -> npt.NDArray[Any]:
        path = shard_file(self.folder, name, number)
        results = path.stat().st_size if path.is_file() else None
        if results != count * dtype.itemsize:
            existing = "is missing" if results is None else f"has {results:,} bytes"
            raise InputError(f"{path}: {existing}, and the index says {count * dtype.itemsize:,}; copy the whole folder again, or prepare it again")
        return np.memmap(path, dtype, "r")


def shard_file(folder: Path, name: str, number: int) -> Path:
    """The file of one part ("tokens", "offsets", "sources", "chars") of a shard."""
    return folder / f"{name}-{number:05d}.bin"


class ShardWriter:
    """Writes documents into shards of at least `shard_tokens` tokens (the last one may have less); a document lies whole in one shard."""

    def __init__(self, folder: Path, dtype: np.dtype[Any], shard_tokens: int) -> None:
        self.records: list[dict[str, Any]] = []
        self._folder, self._dtype, self._shard_tokens = folder, dtype, shard_tokens
        self._stack = ExitStack()
        self._files: dict[str, BinaryIO] = {}
        self._digest = hashlib.sha256()

    def add(self, tokens: npt.NDArray[Any], sizes: Numbers, sources: npt.NDArray[Any], chars: npt.NDArray[Any]) -> None:
        """Write documents: their tokens one after the other, and of each its size, source and characters."""
        ends = np.cumsum(sizes)
        for first, last in self._cuts(ends):
            start, end = (int(ends[first - 1]) if first else 0), int(ends[last - 1])
            record = self.records[-1]
            self._write("tokens", tokens[start:end].astype(self._dtype))
            self._write("offsets", (ends[first:last] - start + record["tokens"]).astype(PARTS["offsets"]))
            self._write("sources", sources[first:last].astype(PARTS["sources"]))
            self._write("chars", chars[first:last].astype(PARTS["chars"]))
            record["tokens"] += end - start
            record["documents"] += last - first

    def close(self) -> None:
        """Finish the last shard."""
        self._stack.close()
        if self.records:
            self.records[-1]["sha256_tokens"] = self._digest.hexdigest()

    def _cuts(self, ends: Numbers) -> Iterator[tuple[int, int]]:
        """The documents [first, last) that go into the open shard, a new one being opened where it is full."""
        first = 0
        while first < len(ends):
            if not self.records or self.records[-1]["tokens"] >= self._shard_tokens:
                self._begin()
            start = int(ends[first - 1]) if first else 0
            room = self._shard_tokens - self.records[-1]["tokens"]
            last = min(int(np.searchsorted(ends, start + room)) + 1, len(ends))
            yield first, last
            first = last

    def _begin(self) -> None:
        self.close()
        number, self._digest = len(self.records), hashlib.sha256()
        self._files = {name: self._stack.enter_context(shard_file(self._folder, name, number).open("wb")) for name in ("tokens", *PARTS)}
        self.records.append({"tokens": 0, "documents": 0})
        self._write("offsets", np.zeros(1, PARTS["offsets"]))

    def _write(self, name: str, numbers: npt.NDArray[Any]) -> None:
        data = numbers.tobytes()
        self._files[name].write(data)
        if name == "tokens":
            self._digest.update(data)
