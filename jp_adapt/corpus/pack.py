"""Pack documents into rows of fixed length, and say which rows make up which step.

Best-fit with split (Ding et al. 2404.10830): a document longer than a row is cut into full rows and a rest, every piece goes whole into the row that it
fills best, so that no token is lost and little is padded. Which pieces stand in which step is a pure function of (documents, seed): a run that is
resumed at any step reads exactly what an undisturbed one would have read.
"""

from __future__ import annotations

import random
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass, field

from jp_adapt.core.errors import InputError

IGNORED = -1  # target of a padded position


@dataclass
class Row:
    """Pieces of documents side by side; each piece holds one token more than it takes room, for the last target."""

    pieces: list[list[int]] = field(default_factory=list)
    free: int = 0


@dataclass(frozen=True)
class Batch:
    """Rows of one step, padded: ids, positions (restarting in every piece) and targets, each [rows][length]."""

    ids: list[list[int]]
    positions: list[list[int]]
    targets: list[list[int]]
    num_targets: int


@dataclass(frozen=True)
class Plan:
    """All rows of a training stage in order, `rows_per_step` to a step."""

    rows: list[Row]
    length: int
    rows_per_step: int
    tokens_by_source: dict[str, int]

    @property
    def num_steps(self) -> int:
        return -(-len(self.rows) // self.rows_per_step)

    @property
    def fill(self) -> float:
        """Share of the positions that carry a target."""
        return sum(self.length - row.free for row in self.rows) / (len(self.rows) * self.length)

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
        """The rows of `step` (from 0) that `rank` works on. `num_targets` counts the whole step, over all ranks."""
        rows = self.rows[step * self.rows_per_step : (step + 1) * self.rows_per_step]
        mine = [_pad(row, self.length) for row in rows[rank::world_size]]
        ids, positions, targets = ([row[part] for row in mine] for part in range(3))
        return Batch(ids, positions, targets, sum(self.length - row.free for row in rows))


def plan_training(
    sources: dict[str, tuple[Sequence[list[int]], float]],
    *,
    prefix: int,
    length: int,
    rows_per_step: int,
    seed: int,
    tokens: int | None = None,
    epochs: float | None = None,
) -> Plan:
    """Choose documents by weight until the budget is met, and pack them.

    Args:
        sources: name -> (documents as ids, weight). Weights are shares of tokens.
        prefix: id that stands before every document.
        tokens: training tokens in all; or `epochs` of the first source, the others in proportion.

    Each source is read in a shuffled order of its own, again and again; the last document may go past the budget, none is cut for it.
    """
    total_weight = sum(weight for _, weight in sources.values())
    first_documents, first_weight = next(iter(sources.values()))
    if tokens is None:
        assert epochs is not None, "give tokens or epochs"
        tokens = max(1, round(epochs * sum(map(len, first_documents)) * total_weight / first_weight))
    chosen: list[list[int]] = []
    by_source: dict[str, int] = {}
    for name, (documents, weight) in sources.items():
        if not any(documents):
            raise InputError(f"source '{name}': no document of it has a token; the tokenizer drops every character of it")
        wanted, taken, epoch = tokens * weight / total_weight, 0, 0
        while taken < wanted:
            order = list(range(len(documents)))
            random.Random(f"{seed}/{name}/{epoch}").shuffle(order)
            for index in order:
                if taken >= wanted:
                    break
                chosen.append([prefix, *documents[index]])
                taken += len(documents[index])
            epoch += 1
        by_source[name] = taken
    rows = pack_best_fit(chosen, length)
    random.Random(f"{seed}/rows").shuffle(rows)
    return Plan(rows, length, rows_per_step, by_source)


def pack_best_fit(documents: Sequence[list[int]], length: int) -> list[Row]:
    """Rows of `length` positions. Consecutive pieces of a cut document share one token: it is the last target of one and the first id of the next."""
    pieces = [document[start : start + length + 1] for document in documents for start in range(0, len(document) - 1, length)]
    pieces.sort(key=len, reverse=True)
    rows: list[Row] = []
    free: list[tuple[int, int]] = []  # (room left, row), sorted: the first that is large enough fits best
    for piece in pieces:
        size = len(piece) - 1
        slot = bisect_left(free, (size, -1))
        if slot == len(free):
            rows.append(Row(free=length))
            index = len(rows) - 1
        else:
            _, index = free.pop(slot)
        row = rows[index]
        row.pieces.append(piece)
        row.free -= size
        if row.free:
            insort(free, (row.free, index))
    return rows


def _pad(row: Row, length: int) -> tuple[list[int], list[int], list[int]]:
    ids: list[int] = []
    positions: list[int] = []
    targets: list[int] = []
    for piece in row.pieces:
        ids += piece[:-1]
        targets += piece[1:]
        positions += range(len(piece) - 1)
    padding = length - len(ids)
    # Padding is one more "document" of id 0: it sees nothing else, nothing sees it, and it carries no loss.
    return ids + [0] * padding, positions + list(range(padding)), targets + [IGNORED] * padding
