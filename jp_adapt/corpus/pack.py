"""Pack documents into rows of fixed length, and say which rows make up which step.

Best-fit with split (Ding et al. 2404.10830): a document longer than a row is cut into full rows and a rest, every piece goes whole into the row that it
fills best, so that no token is lost and little is padded. A plan holds places (document, first token, number) and no tokens: those are read when their
step comes, from lists or from memory-mapped shards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import heappop, heappush
from typing import Protocol

import numpy as np
import numpy.typing as npt

IGNORED = -1  # target of a padded position
Numbers = npt.NDArray[np.int64]


def with_end(ids: list[int], end: int | None) -> list[int]:
    """A document with the token that ends it, which is a target as any other; a document without a token stays empty."""
    return [*ids, end] if ids and end is not None else ids


class Documents(Protocol):
    """The documents of a source as ids: a list of lists, or `SourceDocuments` of shards."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Sequence[int] | npt.NDArray[np.generic]: ...


@dataclass(frozen=True)
class Piece:
    """Tokens [offset, offset + tokens) of a document of a source: the targets of a stretch of a row."""

    source: str
    document: int
    offset: int
    tokens: int


@dataclass(frozen=True)
class Batch:
    """Rows of one step, padded: ids, positions (restarting in every piece) and targets, each [rows][length]."""

    ids: list[list[int]]
    positions: list[list[int]]
    targets: list[list[int]]
    num_targets: int


class StepPlan(Protocol):
    """What the training loop asks of a plan."""

    @property
    def num_steps(self) -> int: ...

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
        """The rows of `step` (from 0) that `rank` works on. `num_targets` counts the whole step, over all ranks."""


def first_batches(plan: StepPlan, targets: int) -> Iterator[Batch]:
    """The first whole steps of a plan, of at least so many targets in all, if it has as many."""
    total = 0
    for step in range(plan.num_steps):
        batch = plan.batch(step)
        yield batch
        total += batch.num_targets
        if total >= targets:
            return


@dataclass(frozen=True, eq=False)
class Packing:
    """Pieces grouped by row: piece p stands in row r where row_starts[r] <= p < row_starts[r + 1].

    Attributes:
        document: [pieces] which of the packed documents it is a part of.
        offset: [pieces] its first token there.
        tokens: [pieces] how many it has, each of them the target of one position.
        num_documents: how many were packed.
    """

    document: Numbers
    offset: Numbers
    tokens: Numbers
    row_starts: Numbers
    length: int
    num_documents: int

    @property
    def num_rows(self) -> int:
        return len(self.row_starts) - 1

    @property
    def fill(self) -> float:
        """Share of the positions that carry a target; the others are padding."""
        return int(self.tokens.sum()) / (self.num_rows * self.length)

    @property
    def cut_share(self) -> float:
        """Share of the documents that are cut."""
        return int((np.bincount(self.document, minlength=self.num_documents) > 1).sum()) / self.num_documents

    def shuffled(self, order: Sequence[int]) -> Packing:
        """The same rows in another order."""
        counts = np.diff(self.row_starts)[order]
        starts = np.concatenate(([0], np.cumsum(counts)))
        pieces = np.repeat(self.row_starts[:-1][order] - starts[:-1], counts) + np.arange(starts[-1])
        return Packing(self.document[pieces], self.offset[pieces], self.tokens[pieces], starts, self.length, self.num_documents)


def pack_best_fit(sizes: Sequence[int] | Numbers, length: int) -> Packing:
    """Pack documents of `sizes` tokens into rows of `length` positions, one for each token. Documents without a token stand nowhere."""
    tokens = np.asarray(sizes, dtype=np.int64)
    pieces_of = -(-tokens // length)
    document = np.repeat(np.arange(len(tokens)), pieces_of)
    offset = (np.arange(len(document)) - np.repeat(np.cumsum(pieces_of) - pieces_of, pieces_of)) * length
    size = np.minimum(length, tokens[document] - offset)
    by_size = np.argsort(-size, kind="stable")
    row = np.asarray(_best_rows(size[by_size].tolist(), length), dtype=np.int64)
    by_row = np.argsort(row, kind="stable")
    pieces = by_size[by_row]
    starts = np.concatenate(([0], np.cumsum(np.bincount(row)))) if len(row) else np.zeros(1, dtype=np.int64)
    return Packing(document[pieces], offset[pieces], size[pieces], starts.astype(np.int64), length, len(tokens))


def _best_rows(sizes: list[int], length: int) -> list[int]:
    """The row of each piece, largest first: the one with the least room that takes it, of these the first; a new one where none does."""
    rows_with: list[list[int]] = [[] for _ in range(length)]  # room left -> rows, a heap
    rooms = 0  # bit r: some row has room r
    results, num_rows = [], 0
    for size in sizes:
        fitting = rooms >> size
        if fitting:
            room = size + (fitting & -fitting).bit_length() - 1
            row = heappop(rows_with[room])
            if not rows_with[room]:
                rooms ^= 1 << room
        else:
            room, row = length, num_rows
            num_rows += 1
        if left := room - size:
            heappush(rows_with[left], row)
            rooms |= 1 << left
        results.append(row)
    return results


@dataclass(frozen=True, eq=False)
class Plan:
    """All rows of a training stage in order, `rows_per_step` to a step: step -> (source, document, offset) whatever the world size.

    Attributes:
        sources: name -> documents.
        source_of, document_of: of each document that was packed, the number of its source and its place there.
        prefix: id that stands before every document.
        place: source -> where in its documents reading stopped (`mixture.Chosen`).
    """

    sources: Mapping[str, Documents]
    source_of: Numbers
    document_of: Numbers
    packing: Packing
    prefix: int
    rows_per_step: int
    tokens_by_source: dict[str, int]
    epochs_by_source: dict[str, float]
    place: dict[str, float]

    @property
    def length(self) -> int:
        return self.packing.length

    @property
    def num_steps(self) -> int:
        return -(-self.packing.num_rows // self.rows_per_step)

    @property
    def fill(self) -> float:
        return self.packing.fill

    @property
    def cut_share(self) -> float:
        return self.packing.cut_share

    @cached_property
    def _names(self) -> list[str]:
        return list(self.sources)

    def row(self, row: int) -> list[Piece]:
        """The pieces of a row, in their order."""
        packing = self.packing
        results = []
        for piece in range(int(packing.row_starts[row]), int(packing.row_starts[row + 1])):
            entry = int(packing.document[piece])
            name = self._names[self.source_of[entry]]
            results.append(Piece(name, int(self.document_of[entry]), int(packing.offset[piece]), int(packing.tokens[piece])))
        return results

    def step(self, step: int) -> range:
        """The rows of `step` (from 0)."""
        return range(step * self.rows_per_step, min((step + 1) * self.rows_per_step, self.packing.num_rows))

    def tokens_of(self, step: int) -> dict[str, int]:
        """How many tokens of each source are in `step`, of those that are in it."""
        tokens: dict[str, int] = {}
        for piece in (piece for row in self.step(step) for piece in self.row(row)):
            tokens[piece.source] = tokens.get(piece.source, 0) + piece.tokens
        return tokens

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
        """The rows of `step` (from 0) that `rank` works on. `num_targets` counts the whole step, over all ranks."""
        rows = self.step(step)
        own = [self._read(row) for row in rows[rank::world_size]]
        ids, positions, targets = ([row[part] for row in own] for part in range(3))
        first, last = (int(self.packing.row_starts[row]) for row in (rows.start, rows.stop))
        return Batch(ids, positions, targets, int(self.packing.tokens[first:last].sum()))

    def _read(self, row: int) -> tuple[list[int], list[int], list[int]]:
        ids: list[int] = []
        positions: list[int] = []
        targets: list[int] = []
        for piece in self.row(row):
            document = self.sources[piece.source][piece.document]
            end = piece.offset + piece.tokens
            # One token before the first target: the prefix, or the last target of the piece before.
            read = np.asarray(document[max(0, piece.offset - 1) : end]).tolist()
            if piece.offset == 0:
                read.insert(0, self.prefix)
            ids += read[:-1]
            targets += read[1:]
            positions += range(piece.tokens)
        padding = self.length - len(ids)
        # Padding is one more "document" of id 0: it sees nothing else, nothing sees it, and it carries no loss.
        return ids + [0] * padding, positions + list(range(padding)), targets + [IGNORED] * padding
