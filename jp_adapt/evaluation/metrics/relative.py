"""Grades beside those of a reference answer, as LLaVA-Bench and Heron-Bench count them: the ratio of the means of each category, and the mean of these."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

JUDGE_RATIO, JUDGE_SCORE, JUDGE_REFERENCE = "judge_ratio", "judge_score", "judge_reference"  # 100 x score / reference; the grades that it is made of
Floats = NDArray[np.float64]


def mean_ratios(scores: Floats, references: Floats, groups: Sequence[str]) -> Floats:
    """100 x mean(scores) / mean(references) of each group, averaged over the groups. Shapes: two of [R, N], and N groups, to [R]. References are above 0."""
    names = np.asarray(groups)
    members = [names == group for group in dict.fromkeys(groups)]
    ratios: Floats = 100 * np.mean([scores[:, own].mean(axis=1) / references[:, own].mean(axis=1) for own in members], axis=0)
    return ratios
