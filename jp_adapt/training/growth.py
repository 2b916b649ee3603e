"""New tokens that come in as training goes on, the most useful ones first (progressive introduction, as AraLLaMA 2412.12310).

All new rows are there from the first step on, so that checkpoints and AdamW's moments keep their shapes; those that wait are not in the head and in no text,
get no gradient and stay as they are, to the bit. What comes in is a function of the weights before it, so that a run that was stopped there goes on the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jp_adapt.corpus.phases import PhasedPlan
from jp_adapt.model.causal import CausalModel
from jp_adapt.training.first_rows import calibrate_rows


@dataclass(frozen=True)
class Growth:
    """How many new rows are in use in each phase of a plan.

    Attributes:
        rows: [phases] rising; the last is all of them.
        calibrated: whether those that come in begin with the probability that their tokens have in the text of their phase.
    """

    plan: PhasedPlan
    rows: Sequence[int]
    calibrated: bool

    def rows_after(self, steps: int) -> int:
        """How many are in use when so many steps are done, and the next has not begun; 0 before the first."""
        return self.rows[self.plan.phase_of(steps - 1)] if steps else 0

    def bring_in(self, model: CausalModel, step: int) -> bool:
        """Let `model` have the rows that `step` (from 0) needs, and say whether some came in. All ranks must call this."""
        phase, known = self.plan.phase_of(step), model.rows_in_use
        if known == self.rows[phase]:
            return False
        model.rows_in_use = self.rows[phase]
        if self.calibrated:
            calibrate_rows(model, self.plan.phases[phase], sharded=False, known=known)
        return True
