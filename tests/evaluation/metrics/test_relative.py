"""Grades beside those of a reference answer."""

from __future__ import annotations

import numpy as np
import pytest

from jp_adapt.evaluation.metrics.relative import mean_ratios


def test_ratios_of_means_are_averaged_over_the_groups_of_each_resample() -> None:
    scores = np.array([[4.0, 6.0, 9.0], [4.0, 4.0, 9.0]])
    references = np.array([[8.0, 8.0, 6.0], [8.0, 8.0, 6.0]])
    assert mean_ratios(scores, references, ["conv", "conv", "detail"]) == pytest.approx([(62.5 + 150) / 2, (50 + 150) / 2])
    assert mean_ratios(scores, references, ["conv", "detail", "conv"]) == pytest.approx([(100 * 13 / 14 + 75) / 2, (100 * 13 / 14 + 50) / 2])
