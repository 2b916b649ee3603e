"""pfgen-bench's scores: the numbers that its own `pfgen_eval.py` (03db7c4) gives for these texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.evaluation.metrics.pfgen import READ_CHARS, pfgen_fluency, pfgen_helpfulness, pfgen_score, pfgen_truthfulness
from tests.properties import examples

ASKED = {
    "references": {
        "P": ["虹は、太陽の光が雨粒で曲がり、色ごとに分かれて見える現象です。", "虹は光が水滴の中で屈折して見える現象で、七色とされます。"],
        "S": ["雨上がりに太陽を背にすると、水滴が光を分けて虹が見えます。" * 4],
    },
    "keywords": [{"t": "屈折|曲が"}, {"or": [{"t": "水滴"}, {"t": "雨粒"}]}, {"and": [{"t": "太陽"}, {"t": "光"}], "importance": 0.25}],
}


@pytest.mark.parametrize(
    ("answer", "fluency", "truthfulness", "helpfulness"),
    [
        ("虹は、太陽の光が雨粒で曲がり、色ごとに分かれて見える現象です。", 0.56098, 0.5, 1.0),
        ("虹は光が水滴で屈折したものです。", 0.098548, 0.4, 0.75),
        ("虹は、太陽の光が雨粒で曲がって見える現象です。" * 7, 0.316001, 0.478022, 1.0),
        ("あ" * 120 + "光が水滴の中で屈折", 0.040768, 0.014651, 0.315),
        ("虹は光が水滴の中で屈折" + "い" * 300, 0.136388, 0.055, 0.75),
        ("「」。", 0.005202, 0.0, 0.0),
        ("犬", 0.0, 0.0, 0.0),
        ("", 0.0, 0.0, 0.0),
    ],
)
def test_scores_are_those_of_its_own_code(answer: str, fluency: float, truthfulness: float, helpfulness: float) -> None:
    scores = [pfgen_fluency(answer, ASKED), pfgen_truthfulness(answer, ASKED), pfgen_helpfulness(answer, ASKED)]
    assert scores == pytest.approx([fluency, truthfulness, helpfulness], abs=2e-6)
    assert pfgen_score(answer, ASKED) == pytest.approx(sum(scores) / 3)


@examples(30)
@given(st.text(alphabet="虹は光が水滴で屈折太陽。「", max_size=READ_CHARS), st.text(max_size=20))
def test_nothing_counts_that_stands_behind_what_is_read(answer: str, more: str) -> None:
    whole = answer.ljust(READ_CHARS, "い")
    assert pfgen_fluency(whole + more, ASKED) == pfgen_fluency(whole, ASKED)
    assert pfgen_helpfulness(whole + more, ASKED) == pfgen_helpfulness(whole, ASKED)
    assert 0.0 <= pfgen_truthfulness(whole + more, ASKED) <= 1.0


def test_a_reference_is_as_fluent_as_references_are_on_the_mean() -> None:
    one = {"references": {"P": ["虹は光が水滴で屈折したものです。"]}, "keywords": []}
    assert pfgen_fluency("虹は光が水滴で屈折したものです。", one) == 1.0
    assert pfgen_score("虹は光が水滴で屈折したものです。", one) == 1.0
