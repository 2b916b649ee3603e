"""A search that another process can begin, and be killed in."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from jp_adapt.merging.fitness import Objective
from jp_adapt.merging.search import Gene, Search

GENES = [Gene("a", 0.0, 1.5, 0.5), Gene("b", -1.0, 1.0, 0.9), Gene("c", 0.05, 1.0, 1.0)]
OBJECTIVES = [Objective("ja", 24, weight=1.0), Objective("en", 8, weight=0.2, guard=1.5)]
TARGET = {"a": 1.1, "b": -0.3, "c": 0.4}
GENERATIONS = 6


def score(genome, items):
    """Squared distance from a target, a little different for each item."""
    distance = sum((genome[name] - value) ** 2 for name, value in TARGET.items())
    return {name: [0.1 + distance * (1 + (item % 7) / 10) for item in chosen] for name, chosen in items.items()}


def search(**options):
    return Search(GENES, OBJECTIVES, **({"seed": 3, "rounds": 3} | options))


class Dying:
    """The score, in a process that kills itself in the middle of a call."""

    def __init__(self, calls: int) -> None:
        self.calls = calls

    def __call__(self, genome, items):
        self.calls -= 1
        if self.calls < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return score(genome, items)


def summary(result) -> str:
    """Everything that must not change, as exact text."""
    genomes = [[entry.generation, entry.index, entry.genome, entry.fitness, entry.whole, entry.losses] for entry in result.evaluations]
    return json.dumps([genomes, result.best_genome, result.mean])


def killed(journal: Path, calls: int) -> None:
    """Begin a search, or go on with it, and be killed in the middle of an evaluation behind so many."""
    search().run(Dying(calls), journal, GENERATIONS)
