"""Learning-rate schedules: the factor on the peak learning rate at each step."""

from __future__ import annotations

import math
from typing import Literal

Schedule = Literal["cosine", "wsd", "linear"]


def lr_factor(step: int, num_steps: int, *, schedule: Schedule, warmup_share: float, decay_share: float, final_share: float) -> float:
    """Factor at `step` (from 0) of `num_steps`.

    Linear warm-up over `warmup_share` of the steps; then cosine or linear decay to `final_share`, or (wsd, 2404.06395) the peak until the last
    `decay_share` of the steps and a linear decay over them.
    """
    warmup = round(warmup_share * num_steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    start = warmup if schedule != "wsd" else max(warmup, num_steps - round(decay_share * num_steps))
    if step < start:
        return 1.0
    done = (step - start) / max(1, num_steps - 1 - start)
    shape = 0.5 * (1 + math.cos(math.pi * done)) if schedule == "cosine" else 1 - done
    return final_share + (1 - final_share) * shape
