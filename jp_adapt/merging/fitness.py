"""What a search looks for: the weighted sum of mean losses, and guards that may not lose much. It knows nothing of models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

# A guard that is 1 % over its limit counts as a fitness that is 8 % worse than the reference's: more than breaking it was seen to bring (3 % for 1 %).
GUARD_PENALTY = 8.0
GUARD_ERRORS = 1.645  # standard errors that are added to a guard's loss: where the limit holds then, it holds on other items too in 95 of 100 cases

Losses = Mapping[str, Sequence[float]]  # objective -> the loss of each of its items that was asked; lower is better


@dataclass(frozen=True)
class Objective:
    """Something that is measured on `items` items.

    Attributes:
        weight: factor of its mean loss in the fitness.
        guard: the mean loss may be this many times that of the reference, and more is punished; None: it is not a guard. What counts is the upper bound of
            the mean of the items' differences, since what few items allow is broken on others.
    """

    name: str
    items: int
    weight: float = 0.0
    guard: float | None = None


@dataclass(frozen=True)
class Fitness:
    """The fitness of losses; lower is better.

    Attributes:
        reference: losses that guards are held against, of the same items in the same order as those that come; without any, no guard counts.
    """

    objectives: Sequence[Objective]
    reference: Losses

    def __call__(self, losses: Losses) -> float:
        return self.weighed(losses) + self.penalty(losses)

    def weighed(self, losses: Losses) -> float:
        """The weighted sum of the mean losses."""
        return math.fsum(objective.weight * mean(losses[objective.name]) for objective in self.objectives if objective.weight)

    def penalty(self, losses: Losses) -> float:
        """What guards add that go over their limits at the upper bound of what their items leave open."""
        excess = math.fsum(max(0.0, self.excess(objective, losses, GUARD_ERRORS)) for objective in self.objectives)
        return self.penalty_factor * excess if excess else 0.0

    @property
    def penalty_factor(self) -> float:
        """What a guard adds that is twice its limit."""
        return GUARD_PENALTY * self.weighed(self.reference) if self.reference else 0.0

    def limit(self, objective: Objective, asked: int) -> float:
        """The mean loss that a guard may have on the first `asked` items."""
        assert objective.guard is not None
        return objective.guard * mean(self.reference[objective.name][:asked])

    def excess(self, objective: Objective, losses: Losses, errors: float) -> float:
        """By what share the loss of a guard goes over its limit, so many standard errors above the mean of its items' differences; negative within it."""
        if objective.guard is None or not self.reference:
            return 0.0
        own = np.array(losses[objective.name])
        over = own - objective.guard * np.array(self.reference[objective.name][: len(own)])
        error = float(over.std(ddof=1)) / math.sqrt(len(over)) if len(over) > 1 else 0.0
        limit = self.limit(objective, len(own))
        return (float(over.mean()) + errors * error) / limit if limit > 0 else 0.0


def mean(values: Sequence[float]) -> float:
    """Of numbers, summed exactly."""
    return math.fsum(values) / len(values)
