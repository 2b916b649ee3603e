"""Plans one after another, as one: a training stage whose tokenizer changes on the way has a plan for each of its tokenizers."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np

from jp_adapt.corpus.pack import Batch, Plan


@dataclass(frozen=True, eq=False)
class PhasedPlan:
    """The steps of each plan behind those of the plan before it. A step belongs to one phase."""

    phases: Sequence[Plan]

    @cached_property
    def starts(self) -> list[int]:
        """[phases + 1] the first step of each phase, and at the end the number of all steps."""
        return [0, *accumulate(plan.num_steps for plan in self.phases)]

    @property
    def num_steps(self) -> int:
        return self.starts[-1]

    def phase_of(self, step: int) -> int:
        """Number of the phase (from 0) that `step` (from 0) belongs to."""
        return bisect_right(self.starts, step, hi=len(self.phases)) - 1

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
        """The rows of `step` (from 0) that `rank` works on. `num_targets` counts the whole step, over all ranks."""
        phase = self.phase_of(step)
        return self.phases[phase].batch(step - self.starts[phase], rank, world_size)

    def tokens_of(self, step: int) -> dict[str, int]:
        """How many tokens of each source are in `step`, of those that are in it."""
        phase = self.phase_of(step)
        return self.phases[phase].tokens_of(step - self.starts[phase])

    @property
    def fill(self) -> float:
        """Share of the positions that carry a target."""
        positions = [plan.packing.num_rows * plan.length for plan in self.phases]
        return float(np.average([plan.fill for plan in self.phases], weights=positions))

    @property
    def cut_share(self) -> float:
        """Share of the documents that are cut."""
        return float(np.average([plan.cut_share for plan in self.phases], weights=[plan.packing.num_documents for plan in self.phases]))

    @property
    def tokens_by_source(self) -> dict[str, int]:
        return dict(sum((Counter(plan.tokens_by_source) for plan in self.phases), Counter()))

    @property
    def epochs_by_source(self) -> dict[str, float]:
        return {name: sum(plan.epochs_by_source[name] for plan in self.phases) for name in self.phases[0].sources}
