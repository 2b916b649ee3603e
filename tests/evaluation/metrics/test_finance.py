"""The metrics of JFinQA, on the examples of its documentation (jfinqa 0.3, src/jfinqa/_metrics.py) and on what surprises."""

from __future__ import annotations

import pytest

from jp_adapt.evaluation.metrics.finance import jfinqa_exact_match, jfinqa_numerical_match


@pytest.mark.parametrize(
    ("prediction", "answer", "exact", "near"),
    [
        ("42.5%", " 42.5% ", True, True),
        ("△1,000", "-1000", True, True),
        ("12,345百万円", "12345百万円", True, True),
        ("24956百万円", "24956", False, True),
        ("42.5%", "42.50%", False, True),
        ("４２．５％", "42.5%", True, True),
        ("改善しました", "改善", True, True),
        ("増収した", "増収", True, True),
        ("減収", "増収", False, False),
        ("101", "100", False, True),  # 1 % off
        ("101.1", "100", False, False),
        ("3億", "300000000", False, True),
        ("0", "0%", False, True),
        ("0.001", "0", False, False),
        ("およそ10%", "10%", False, True),
        ("", "10%", False, False),
        ("増収", "10%", False, False),
    ],
)
def test_exact_and_near(prediction: str, answer: str, exact: bool, near: bool) -> None:
    assert jfinqa_exact_match(prediction, answer) == exact
    assert jfinqa_numerical_match(prediction, answer) == near
