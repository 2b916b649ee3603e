"""A loss, or a gradient, that jumps: how it is seen. What to do about it is the loop's."""

from __future__ import annotations

import math
import statistics
from collections import deque

WINDOW = 20  # steps whose median is usual
FIRST = 5  # no verdict before so many steps
GRADIENT_JUMP = 4.0  # a gradient so many times as long as usual: in trainings that ended worse for it there were several, in others none (docs/log.md)


class SpikeDetector:
    """Says whether a figure of a step (loss per token, length of the gradient) is no number, or above `factor` times the median of the last steps.

    `factor` None: only what is no number.
    """

    def __init__(self, factor: float | None, recent: list[float] | None = None) -> None:
        self.factor = factor
        self._recent: deque[float] = deque(recent or [], maxlen=WINDOW)

    @property
    def recent(self) -> list[float]:
        """The figures it judges by; a checkpoint holds them, so that a resumed run sees the same spikes."""
        return list(self._recent)

    def usual(self) -> float:
        return statistics.median(self._recent)

    def sees(self, figure: float) -> bool:
        """True for a spike, which is not counted among the usual figures."""
        if not math.isfinite(figure) or (self.factor is not None and len(self._recent) >= FIRST and figure > self.factor * self.usual()):
            return True
        self._recent.append(figure)
        return False
