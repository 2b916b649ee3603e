"""Scoring of one exported item: the budget, then the steps, then the normalisers, as in `jp-adapt eval`."""

from __future__ import annotations

import pytest

from jp_adapt.evaluation.lm_eval_scores import process_results

SCORING = {"max_chars": 8, "extract": ["first_line", "strip"], "normalise": ["nfkc", "case"], "metrics": ["exact_match", "char_f1"], "language": None}


@pytest.mark.parametrize(
    ("text", "exact"),
    [(" ＴＥＡ\nmore", 1.0), ("green\ntea", 0.0), ("chai", 1.0), ("teateateatea", 0.0), ("tea     and more", 1.0)],
)
def test_an_item_is_scored(text: str, exact: float) -> None:
    doc = {"id": "1", "prompt": "A drink: ", "answers": ["tea", "chai"], "scoring": SCORING}
    scores = process_results(doc, [text])
    assert scores["exact_match"] == exact
    assert set(scores) == {"exact_match", "char_f1"}
