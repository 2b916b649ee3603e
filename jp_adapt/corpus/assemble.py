"""From finished parts to shards: repeated documents are left out; the rest is written in corpus order and counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from jp_adapt.corpus.deduplicate import Fetch, Indices
from jp_adapt.corpus.parts import Work, unpacked
from jp_adapt.corpus.shards import ShardWriter
from jp_adapt.corpus.steps import Counts, Document, Outcome, pair_of
from jp_adapt.text.script_counts import SCRIPTS

# (exact hashes [N], signatures [N, K], access to texts) -> ([N] the earlier document that each repeats, or -1; [N] whether it repeats it exactly)
FindDuplicates = Callable[[npt.NDArray[np.uint64], npt.NDArray[np.uint32], Fetch], tuple[Indices, npt.NDArray[np.bool_]]]
DEDUPLICATE = "deduplicate"
EXACT, NEAR = "exact duplicate", "near duplicate"  # why it drops a document


@dataclass
class SourceStats:
    """What a prepared corpus contains from one source.

    Attributes:
        scripts: characters of each script.
        lengths: [k] documents of 2**k to 2**(k + 1) - 1 tokens (characters where there are no tokens).
    """

    documents: int = 0
    characters: int = 0
    tokens: int = 0
    scripts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SCRIPTS, 0))
    lengths: list[int] = field(default_factory=lambda: [0] * 32)

    def add(self, chars: npt.NDArray[Any], sizes: npt.NDArray[Any], scripts: npt.NDArray[Any]) -> None:
        self.documents += len(chars)
        self.characters += int(chars.sum())
        self.tokens += int(sizes.sum())
        for name, number in zip(SCRIPTS, scripts.sum(axis=0).tolist(), strict=True):
            self.scripts[name] += number
        lengths = sizes if sizes.any() else chars
        for power, number in enumerate(np.bincount(np.log2(np.maximum(lengths, 1)).astype(np.int64), minlength=32).tolist()):
            self.lengths[power] += number


@dataclass(frozen=True)
class Output:
    """How a corpus is written: the minimum tokens per shard, whether repeated documents are left out, and whether the texts are kept with the tokens."""

    shard_tokens: int = 2**27
    find_duplicates: FindDuplicates | None = None
    texts: bool = False


@dataclass
class Assembled:
    """The result: records of the shards, figures of each source, counts of all steps."""

    shards: list[dict[str, Any]]
    stats: dict[str, SourceStats]
    counts: Counts


def assemble(parts: Sequence[Path], target: Path, work: Work, output: Output) -> Assembled:
    """Write the shards into the folder `target`, and where asked the documents as texts.jsonl.zst, a frame for each part.

    One part is in memory at a time, and the fingerprints of all documents (650 bytes each) while repeated ones are looked for. The texts that are compared
    then lie in a nameless file beside the shards.

    Raises:
        OSError: the disk is full.
    """
    counts, sources = Counts(), work.sources
    stats = {name: SourceStats() for name in sources}
    repeats, exact = _duplicates(parts, target, output.find_duplicates) if output.find_duplicates else (None, None)
    writer = ShardWriter(target, np.dtype(work.dtype), output.shard_tokens)
    with ExitStack() as stack:
        stack.callback(writer.close)
        text_file = stack.enter_context((target / "texts.jsonl.zst").open("wb")) if output.texts else None
        first, sampled = 0, dict[tuple[str, str], int]()
        for part in _parts(parts):
            counts.merge(Counts.from_json(json.loads(part["counts"].tobytes())))
            of, chars, sizes, scripts = (part[name] for name in ("sources", "chars", "sizes", "scripts"))
            kept = np.ones(len(of), dtype=bool)
            if repeats is not None and exact is not None:
                span = slice(first, first + len(of))
                kept = repeats[span] < 0
                sampled |= {key: first + index for key, index in _count_duplicates(counts, sources, part, kept, exact[span]).items()}
            first += len(of)
            for number, name in enumerate(sources):
                own = kept & (of == number)
                if own.any():
                    stats[name].add(chars[own], sizes[own], scripts[own])
            if sizes.any():
                writer.add(part["tokens"][np.repeat(kept, sizes)], sizes[kept], of[kept], chars[kept])
            if text_file is not None:
                text_file.write(_frame(part, kept))
    if repeats is not None:
        _add_pairs(counts, parts, repeats, sampled)
    return Assembled(writer.records, stats, counts)


def _parts(files: Sequence[Path]) -> Iterator[Any]:
    for file in files:
        with np.load(file) as part:
            yield part


def _duplicates(parts: Sequence[Path], folder: Path, find_duplicates: FindDuplicates) -> tuple[Indices, npt.NDArray[np.bool_]]:
    hashes = [part["exact"] for part in _parts(parts)]
    ends = np.cumsum([len(results) for results in hashes])
    signatures = np.zeros((int(ends[-1]) if len(ends) else 0, 0), np.uint32)
    for part, end, results in zip(_parts(parts), ends.tolist(), hashes, strict=True):  # into one array: a list of parts would be in memory twice
        own = part["signatures"]
        if signatures.shape[1] != own.shape[1]:
            signatures = np.zeros((len(signatures), own.shape[1]), np.uint32)
        signatures[end - len(results) : end] = own
    with TemporaryFile(dir=folder) as file:
        return find_duplicates(np.concatenate([np.zeros(0, np.uint64), *hashes]), signatures, lambda documents: _fetch(parts, ends, documents, file))


def _fetch(parts: Sequence[Path], ends: Indices, documents: Indices, file: BinaryIO) -> Callable[[int], str]:
    """Copy the texts of `documents` (ascending) into `file`, each part being unpacked once; what comes back reads them there, in any order."""
    part_of = np.searchsorted(ends, documents, side="right")
    starts = [0]
    for number in np.unique(part_of).tolist():
        own = documents[part_of == number]
        with np.load(parts[number]) as part:
            lines = unpacked(part["texts"])
        for index in (own - ends[number] + len(lines)).tolist():
            text = json.loads(lines[index])["text"].encode("utf-8")
            file.write(text)
            starts.append(starts[-1] + len(text))
    file.flush()

    def text_of(document: int) -> str:
        place = int(np.searchsorted(documents, document))
        file.seek(starts[place])
        return file.read(starts[place + 1] - starts[place]).decode("utf-8")

    return text_of


def _count_duplicates(
    counts: Counts, sources: tuple[str, ...], part: Any, kept: npt.NDArray[np.bool_], exact: npt.NDArray[np.bool_]
) -> dict[tuple[str, str], int]:
    """Count what is kept by numbers, and what is dropped with its text, for the samples. (Source, place) -> index of the near duplicates that became such."""
    of, chars = part["sources"], part["chars"]
    for number in np.unique(of[kept]).tolist():
        own = kept & (of == number)
        added = counts.of(DEDUPLICATE, sources[number])
        added.documents_in += int(own.sum())
        added.documents_kept += int(own.sum())
        added.characters_in += int(chars[own].sum())
        added.characters_kept += int(chars[own].sum())
    sampled: dict[tuple[str, str], int] = {}
    if kept.all():
        return sampled
    lines = unpacked(part["texts"])
    for index in np.flatnonzero(~kept).tolist():
        document = Document(**json.loads(lines[index]))
        counts.record(DEDUPLICATE, document, Outcome(None, EXACT if exact[index] else NEAR))
        if not exact[index] and document.place in (sample.place for sample in counts.of(DEDUPLICATE, document.source).samples[NEAR]):
            sampled[document.source, document.place] = index
    return sampled


def _add_pairs(counts: Counts, parts: Sequence[Path], repeats: Indices, sampled: dict[tuple[str, str], int]) -> None:
    """Put beside each sample of a near duplicate what it repeats."""
    by_source = counts.steps.get(DEDUPLICATE, {})
    left = {(source, sample.place) for source, step in by_source.items() for sample in step.samples.get(NEAR, ())}
    pairs = {key: (index, int(repeats[index])) for key, index in sampled.items() if key in left}
    documents = _documents(parts, {index for pair in pairs.values() for index in pair})
    for source, step in by_source.items():
        own = [pairs[source, sample.place] for sample in step.samples.get(NEAR, ())]
        step.pairs = [pair_of(documents[dropped], documents[kept]) for dropped, kept in own]


def _documents(parts: Sequence[Path], wanted: set[int]) -> dict[int, Document]:
    """A few documents by their index in the corpus; only the parts that hold them are unpacked."""
    results: dict[int, Document] = {}
    first = 0
    for part in _parts(parts) if wanted else ():
        own = [index for index in wanted if first <= index < first + len(part["sources"])]
        lines = unpacked(part["texts"]) if own else []
        results |= {index: Document(**json.loads(lines[index - first])) for index in own}
        first += len(part["sources"])
    return results


def _frame(part: Any, kept: npt.NDArray[np.bool_]) -> bytes:
    if kept.all():
        return bytes(part["texts"].tobytes())
    import zstandard

    lines = unpacked(part["texts"])
    return zstandard.ZstdCompressor(level=1).compress(b"".join(lines[index] + b"\n" for index in np.flatnonzero(kept).tolist()))
