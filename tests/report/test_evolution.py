"""The drawings and the section of an evolution."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import pytest

from jp_adapt.commands.evolve_compare import verdict
from jp_adapt.report.evolution import FITNESS, CandidateFigures, Difference, Evolution, EvolvedGene, Figure, Guarded, HeldOutPoint, MeasuredModel
from jp_adapt.report.evolution_charts import evolution_drawings
from jp_adapt.report.run_page import render
from jp_adapt.report.run_summary import Figures
from jp_adapt.report.svg_heat import heat_map
from jp_adapt.report.tables import HEADLINE, headline_table
from tests.report.run_summaries import small_summary, summary_of

FIGURES = [
    Figure(FITNESS, "weighted sum", "", True, 10, 20),
    Figure("sums", "Sums <b>", "bits per character", True, 10, 20, weight=1.0),
    Figure("sums/accuracy", "Sums <b>", "accuracy", False, 10, 20),
]


def model(name, kind, bits, accuracy, difference=None):
    values = {FITNESS: bits, "sums": bits, "sums/accuracy": accuracy}
    return MeasuredModel(name, kind, values, values, {} if difference is None else {FITNESS: difference, "sums": difference})


EVOLUTION = Evolution(
    stage="evo, stage best",
    method="task_arithmetic",
    genes=[EvolvedGene(f"{name}.weight.{at}", name, "weight", (at, at + 1), None, 0.0, 1.5, 0.5, 0.4 + at) for name in ("ja", "maths") for at in (0, 1)],
    groups=[(0, 1), (1, 2)],
    figures=FIGURES,
    models=[
        model("ja", "parent", 2.4, 0.6, Difference(-0.6, (-0.7, -0.5), 0.0001)),
        model("uniform 1", "uniform", 1.9, 0.7, Difference(-0.1, (-0.3, 0.1), 0.31)),
        model("evolved", "evolved", 1.8, 0.8),
    ],
    candidates=[CandidateFigures(0, 1.9, True, 1.9), CandidateFigures(1, 2.5, False, 1.9), CandidateFigures(1, 1.7, True, 1.7)],
    heldout_curve=[HeldOutPoint(1, {FITNESS: 1.9, "sums": 1.9, "sums/accuracy": 0.7}), HeldOutPoint(3, {FITNESS: 1.8, "sums": 1.8, "sums/accuracy": 0.8})],
    guards=[Guarded("text", 1.01, 1.0, 1.002), Guarded("en", 1.01, 1.0, 1.05)],
    best_parent="ja",
    best_uniform="uniform 1",
    verdict="By the fitness on held-out items, the evolved model is better than the best parent ('ja').",
    evaluations=3,
    given_up=1,
    seed=1,
    population=2,
    generations=1,
    search_s=3.0,
    merging_s=0.1,
    measuring_s=2.0,
)


def test_every_drawing_is_whole_and_says_its_values():
    drawings = evolution_drawings(EVOLUTION)
    assert len(drawings) == 1 + 2 + 1
    for svg in drawings:
        ElementTree.fromstring(svg)
    assert "maths, 1\u20131: 1.40" in drawings[-1]
    assert "Best so far: from 1.9 to 1.7" in drawings[0]
    assert "Best parent in this: from 0.6 to 0.6" in drawings[2]


def test_the_page_has_verdict_guards_and_differences():
    page = render(replace(summary_of(small_summary()), evolutions=[EVOLUTION]))
    assert 'href="#evolution"' in page
    assert EVOLUTION.verdict.replace("'", "&#39;") in page
    assert "became the best of 3 merges" in page
    assert "Guard text: kept. On held-out items its loss is 1.002 times" in page
    assert "Guard en was not kept: on held-out items its loss is 1.050 times" in page
    assert "\u22120.600 (\u22120.700 to \u22120.500), p &lt;0.001" in page
    assert "Sums &lt;b&gt;" in page


def test_a_run_without_an_evolution_says_nothing_of_it():
    assert "evolution" not in render(summary_of(small_summary())).lower()


def test_a_heat_map_needs_a_value_for_every_cell():
    with pytest.raises(ValueError, match="2 rows of 1 values"):
        heat_map(["a", "b"], ["x"], [[1.0]], title="t", low=0, high=1)
    assert "jc-d1" in heat_map(["a"], ["x"], [[1.0]], title="t", low=1, high=1)


def test_a_run_that_measured_an_evolution_alone_ends_with_its_verdict():
    summary = summary_of(small_summary())
    bare = replace(
        summary, headline=replace(summary.headline, **{key: Figures(None, None) for key in HEADLINE}), evaluation=replace(summary.evaluation, benchmarks=[])
    )
    assert headline_table(replace(bare, evolutions=[EVOLUTION])) == f"{EVOLUTION.stage}: {EVOLUTION.verdict}"
    assert headline_table(bare) == ""
    assert headline_table(replace(summary, evolutions=[EVOLUTION])).splitlines()[-1] == f"{EVOLUTION.stage}: {EVOLUTION.verdict}"


def test_a_verdict_in_plain_words():
    models = [
        model("ja", "parent", 2.4, 0.6, Difference(-0.6, (-0.7, -0.5), 0.0001)),
        model("uniform 1", "uniform", 1.9, 0.7, Difference(-0.1, (-0.3, 0.1), 0.31)),
    ]
    assert verdict(models, "uniform 1", "the best uniform merge") == (
        "By the fitness on held-out items, the evolved model is better than the best parent ('ja'): -0.600 (95 % interval -0.700 to -0.500), "
        "and is not shown to be better than the best uniform merge ('uniform 1'): -0.100 (95 % interval -0.300 to +0.100)."
    )
    better = model("base", "base", 1.7, 0.7, Difference(0.1, (0.05, 0.15), 0.01))
    assert "evolved model is worse than the base ('base'): +0.100" in verdict([*models, better], "uniform 1", "the start")
