"""Several processes that evaluate one model: each does its share of a list, and all get the results of all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

Work = TypeVar("Work")


@dataclass(frozen=True)
class Processes:
    """This process among `count`. `gather` gives every process the values of all, by rank; all of them call it equally often."""

    rank: int = 0
    count: int = 1
    gather: Callable[[Any], list[Any]] = lambda value: [value]

    def share(self, work: Sequence[Work], costs: Sequence[int]) -> list[Work]:
        """The part of `work` that is this process's: neighbours stay together, and every process gets about the same cost."""
        total, before, own = sum(costs), 0, []
        for entry, cost in zip(work, costs, strict=True):
            if min(self.count - 1, (2 * before + cost) * self.count // max(1, 2 * total)) == self.rank:
                own.append(entry)
            before += cost
        return own


ALONE = Processes()
