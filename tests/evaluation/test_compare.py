"""Pairs of evaluations: planted differences are found, chance is not taken for one, and scores that mean different things are refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import jp_adapt
from jp_adapt.benchmarks.profiles import PROFILES
from jp_adapt.benchmarks.published import PublishedTable, load_published
from jp_adapt.core.errors import InputError
from jp_adapt.evaluation import statistics
from jp_adapt.evaluation.compare import compare_scores, notes
from jp_adapt.evaluation.metrics import labels
from jp_adapt.evaluation.published import BesidePublished, compare_published
from jp_adapt.evaluation.results import BenchmarkScore, MetricScore, Output, Scores, write_outputs, write_scores


def benchmark(id: str, values: Sequence[float], metric: str = "accuracy", value: float | None = None, **changes: Any) -> BenchmarkScore:
    mean = sum(values) / len(values) if value is None else value
    score = BenchmarkScore(
        id=id,
        name=f"{id}@jp-adapt/3-shot/{metric}",
        title=id.upper(),
        version="1",
        licence="CC0",
        source="here",
        revision=None,
        sha256={"valid.json": "0" * 64},
        num_fewshot=3,
        items=len(values),
        primary_metric=metric,
        metrics={
            metric: MetricScore(
                mean, statistics.wilson_interval(round(sum(values)), len(values)) if max(values) <= 1 else None, statistics.standard_error(values)
            )
        },
        chance=0.2,
        majority=0.3,
    )
    return replace(score, **changes)


def output(name: str, index: int, score: float, metric: str = "accuracy", **changes: Any) -> Output:
    made = Output(name, str(index), "", f"問{index}", ["あ", "い"], [-1.0, -2.0], None, int(score), 1, {metric: score})
    return replace(made, **changes)


def write_run(folder: Path, parts: dict[str, Sequence[float]], metric: str = "accuracy", model: str | None = None, **changes: Any) -> Path:
    folder.mkdir()
    scores = [benchmark(name, values, metric, **changes) for name, values in parts.items()]
    write_scores(folder, Scores({"name": model or folder.name}, "jp-adapt", scores))
    write_outputs(folder / "outputs.jsonl", [output(name, n, value, metric) for name, values in parts.items() for n, value in enumerate(values)])
    return folder


def coins(share: float, number: int, seed: int) -> list[float]:
    return [float(flip) for flip in np.random.default_rng(seed).random(number) < share]


def test_a_planted_difference_is_found_and_named(tmp_path: Path) -> None:
    base = coins(0.5, 400, 1)
    better = [1.0 if n % 8 == 0 else value for n, value in enumerate(base)]
    a, b = write_run(tmp_path / "base", {"ja/x": base}), write_run(tmp_path / "adapted", {"ja/x": better})
    report = jp_adapt.compare_scores(a, b)
    entry = report.pairs[0].benchmarks[0]
    gained = [str(n) for n in range(0, 400, 8) if base[n] == 0.0]
    assert (entry.gained, entry.lost) == (gained, [])
    assert entry.difference == pytest.approx(len(gained) / 400)
    assert entry.test == "McNemar, exact"
    assert entry.p == entry.p_holm == pytest.approx(2 / 2 ** len(gained))
    low, high = entry.interval
    assert 0 < low < entry.difference < high
    assert entry.verdict.startswith(f"adapted is better than base by {100 * len(gained) / 400:.1f} points (p = ")
    turned = compare_scores(b, a).pairs[0].benchmarks[0]
    assert turned.lost == gained
    assert turned.verdict.startswith("adapted is better than base")


def test_noise_cannot_be_told_apart_and_the_detectable_difference_is_said(tmp_path: Path) -> None:
    a, b = write_run(tmp_path / "a", {"ja/x": coins(0.5, 200, 1)}), write_run(tmp_path / "b", {"ja/x": coins(0.5, 200, 2)})
    entry = compare_scores(a, b).pairs[0].benchmarks[0]
    assert entry.p > 0.05
    points = 100 * entry.minimal_detectable_difference
    assert entry.verdict == f"a and b cannot be told apart (p = {entry.p:.3f}); a difference below about {points:.1f} points would not show in 200 items"


def test_of_equal_models_no_more_differ_than_the_level_says(tmp_path: Path) -> None:
    """Forty pairs of the same quality: about two would differ at 5 % without a correction, and with it none does."""
    parts = {side: {f"ja/{n}": coins(0.6, 300, 2 * n + side) for n in range(40)} for side in (0, 1)}
    report = compare_scores(write_run(tmp_path / "a", parts[0]), write_run(tmp_path / "b", parts[1]))
    entries = report.pairs[0].benchmarks
    assert report.tests == 40
    assert sum(entry.p < 0.05 for entry in entries) <= 5
    assert all("cannot be told apart" in entry.verdict for entry in entries)
    assert all(entry.p_holm >= entry.p for entry in entries)


def test_several_runs_are_compared_with_the_first(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, {"ja/x": coins(0.5, 100, n), "ja/y": coins(0.3, 100, n)}) for n, name in enumerate("abc")]
    report = compare_scores(*runs)
    assert [pair.model for pair in report.pairs] == ["b", "c"]
    assert report.tests == 4


def test_scores_that_are_no_zeros_and_ones(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    base = generator.random(150)
    a = write_run(tmp_path / "a", {"ja/x": base.tolist()}, "f1")
    b = write_run(tmp_path / "b", {"ja/x": np.clip(base + 0.1 + 0.2 * generator.standard_normal(150), 0, 1).tolist()}, "f1")
    entry = compare_scores(a, b).pairs[0].benchmarks[0]
    assert entry.test == "sign flips"
    assert entry.p < 0.001
    assert entry.interval[0] > 0
    assert compare_scores(a, b) == compare_scores(a, b)


def test_a_mean_of_groups_is_compared_as_one(tmp_path: Path) -> None:
    """90 items of a large group and 10 of a small one: the mean of groups moves by the small one."""

    def run(name: str, small: float) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        outputs = [output("ja/x", n, float(n % 2), group="large") for n in range(90)] + [output("ja/x", 90 + n, small, group="small") for n in range(10)]
        values = [item.scores["accuracy"] or 0.0 for item in outputs]
        write_scores(folder, Scores({"name": name}, "jp-adapt", [benchmark("ja/x", values, value=(0.5 + small) / 2)]))
        write_outputs(folder / "outputs.jsonl", outputs)
        return folder

    entry = compare_scores(run("a", 0.0), run("b", 1.0)).pairs[0].benchmarks[0]
    assert entry.difference == pytest.approx(0.5)
    assert (entry.a_items, entry.b_items) == (pytest.approx(0.25), pytest.approx(0.75))
    assert entry.test == "sign flips"


def test_a_correlation_is_compared_as_a_whole(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    gold = generator.random(120) * 5

    def run(name: str, noise: float) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        given = gold + noise * generator.standard_normal(120)
        value = labels.pearson(given, gold)
        write_scores(folder, Scores({"name": name}, "jp-adapt", [benchmark("ja/jsts", [1.0] * 120, "pearson", value=value)]))
        outputs = [output("ja/jsts", n, float(given[n]), "pearson", gold=[f"{gold[n]:.9f}"]) for n in range(120)]
        write_outputs(folder / "outputs.jsonl", outputs)
        return folder

    good, same, bad = run("good", 0.5), run("same", 0.5), run("bad", 4.0)
    report = compare_scores(good, same, bad)
    first, second = (pair.benchmarks[0] for pair in report.pairs)
    assert "cannot be told apart" in first.verdict
    assert "good is better than bad by 0." in second.verdict
    assert second.difference == pytest.approx(second.b - second.a, abs=1e-6)
    assert second.interval[0] < second.difference < second.interval[1] < 0


def test_ratios_to_reference_answers_are_compared_as_a_whole(tmp_path: Path) -> None:
    """The reference answers are graded anew beside each model: 8 of 10 is more than 8 of 9, where the grades of the models are the same."""
    kinds = ["conv"] * 42 + ["detail"] * 21 + ["complex"] * 40
    generator = np.random.default_rng(2)

    def run(name: str, lower: int, reference: int) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        grades = [(float(grade), float(reference)) for grade in generator.integers(5, 9, len(kinds)) - lower]
        means = [np.mean([pair for pair, other in zip(grades, kinds, strict=True) if other == kind], axis=0) for kind in dict.fromkeys(kinds)]
        value = float(np.mean([100 * score / beside for score, beside in means]))
        write_scores(folder, Scores({"name": name}, "judge:j", [benchmark("ja/heron-bench", [1.0] * len(kinds), "judge_ratio", value=value)]))
        made = [{"judge_ratio": 100 * score / beside, "judge_score": score, "judge_reference": beside} for score, beside in grades]
        write_outputs(folder / "outputs.jsonl", [output("ja/heron-bench", n, 0, scores=made[n], group=kinds[n], prediction=[n]) for n in range(len(kinds))])
        return folder

    runs = [run("high", 0, 9), run("same", 0, 9), run("low", 3, 9), run("stricter", 0, 10)]
    same, low, stricter = (pair.benchmarks[0] for pair in compare_scores(*runs).pairs)
    assert "cannot be told apart" in same.verdict
    for entry in (low, stricter):
        assert entry.test == "answers swapped at random"
        assert (entry.a_items, entry.b_items) == (pytest.approx(entry.a), pytest.approx(entry.b))
        assert entry.interval[0] < entry.difference < entry.interval[1] < 0
        assert entry.outcome == "worse"
    assert len(low.lost) > len(low.gained)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "ja/x@stability-0.3/3-shot/accuracy"}, "protocol 'ja/x@jp-adapt/3-shot/accuracy' in .*a, 'ja/x@stability-0.3/3-shot/accuracy' in"),
        ({"version": "2"}, "version '1' in .*a, '2' in"),
        ({"sha256": {"valid.json": "1" * 64}}, r"the data differs \(sha256 of valid.json\)"),
    ],
)
def test_scores_that_measure_different_things_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    a, b = write_run(tmp_path / "a", {"ja/x": [0.0, 1.0]}), write_run(tmp_path / "b", {"ja/x": [0.0, 1.0]}, **changes)
    with pytest.raises(InputError, match=f"these scores measure different things and are not compared:\n  ja/x: {message}"):
        compare_scores(a, b)


def test_items_of_one_run_alone_are_counted(tmp_path: Path) -> None:
    a, b = (
        write_run(tmp_path / "a", {"ja/x": coins(0.5, 50, 0), "ja/y": [1.0, 0.0]}),
        write_run(tmp_path / "b", {"ja/x": coins(0.5, 40, 0), "ja/z": [1.0, 0.0]}),
    )
    pair = compare_scores(a, b).pairs[0]
    entry = pair.benchmarks[0]
    assert (entry.items, entry.only_a, entry.only_b, entry.difference) == (40, 10, 0, 0.0)
    common = sum(coins(0.5, 40, 0)) / 40
    assert common != sum(coins(0.5, 50, 0)) / 50
    assert (entry.a, entry.b) == (entry.a_items, entry.b_items) == (pytest.approx(common), pytest.approx(common)), "of the items in common"
    assert pair.only_in_one == ["ja/y", "ja/z"]
    with pytest.raises(InputError, match="have no benchmark in common"):
        compare_scores(a, write_run(tmp_path / "c", {"ja/w": [1.0]}))
    with pytest.raises(InputError, match="nothing to compare with"):
        compare_scores(a)


def test_a_run_with_an_item_twice_is_refused(tmp_path: Path) -> None:
    a = write_run(tmp_path / "a", {"ja/x": [0.0, 1.0]})
    text = (a / "outputs.jsonl").read_text(encoding="utf-8")
    (a / "outputs.jsonl").write_text(text + text.splitlines()[0] + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="item '0' of ja/x stands twice"):
        compare_scores(a, a)


def table(**changes: Any) -> PublishedTable:
    column = {"benchmark": "ja/x", "profile": "jp-adapt", "shots": 3, "metric": "accuracy", "scale": 100.0, "items": 400} | changes
    return PublishedTable.model_validate(
        {"format": 1, "title": "t", "source": "s", "read": "2026", "columns": [column], "models": {"low": [40.0], "near": [51.0], "high": [60.0]}}
    )


def published_entry(items: int = 400, **changes: Any) -> BesidePublished:
    values = [float(n % 2) for n in range(items)]
    scores = Scores({"name": "m"}, "jp-adapt", [benchmark("ja/x", values)])
    return compare_published(scores, [table(**changes)]).benchmarks[0]


def test_published_scores_of_the_same_protocol_are_compared() -> None:
    entry = published_entry()
    assert [(row.model, row.verdict) for row in entry.published] == [("high", "below it"), ("near", "cannot be told apart"), ("low", "above it")]
    assert entry.published[2].difference == pytest.approx(0.1)


def test_a_metric_from_0_to_100_is_compared_as_a_share() -> None:
    """The table's BLEU is a share (Swallow's), ours is not."""
    score = benchmark("ja/x", [0.0, 1.0])
    name = score.name.removesuffix("accuracy") + "bleu"
    score = replace(score, name=name, primary_metric="bleu", metrics={"bleu": MetricScore(25.0, (20.0, 30.0), 2.5)})
    entry = compare_published(Scores({"name": "m"}, "jp-adapt", [score]), [table(metric="bleu", items=None)]).benchmarks[0]
    assert (entry.value, entry.interval) == (0.25, (0.2, 0.3))
    assert [(row.model, row.verdict) for row in entry.published] == [("high", "below it"), ("near", "below it"), ("low", "below it")]
    assert entry.published[2].difference == pytest.approx(-0.15)


@pytest.mark.parametrize("changes", [{"profile": "stability-0.3"}, {"shots": 4}, {"metric": "exact_match"}])
def test_published_scores_of_another_protocol_are_named_and_not_compared(changes: dict[str, Any]) -> None:
    entry = published_entry(**changes)
    assert entry.published == []
    assert len(entry.not_compared) == 1


def test_a_part_of_the_items_is_not_compared_with_all_of_them() -> None:
    entry = published_entry(items=100)
    assert (entry.published, entry.reasons) == ([], ["100 items were measured here and 400 there"])


def test_the_shipped_tables_are_those_of_their_sources() -> None:
    tables = {entry.title: entry for entry in load_published()}
    assert len(tables) == 5
    swallow = tables["Pages of the Swallow project, 2023"]
    names = [column.name for column in swallow.columns]
    scores = dict(zip(names, swallow.models["ELYZA-japanese-Llama-2-7b"], strict=True))
    assert scores["ja/jcommonsenseqa@swallow-2023/4-shot/exact_match"] == 0.579
    assert not any(column.profile in PROFILES for column in swallow.columns), "their release cannot be placed"
    for entry in tables.values():
        assert all(
            0 <= value / column.scale <= 1 for scores in entry.models.values() for value, column in zip(scores, entry.columns, strict=True) if value is not None
        )
        assert len({column.name for column in entry.columns}) == len(entry.columns)


@pytest.mark.parametrize(
    ("ps", "adjusted"),
    [([0.01], [0.01]), ([0.01, 0.04], [0.02, 0.04]), ([0.04, 0.01, 0.03], [0.06, 0.03, 0.06]), ([0.5, 0.9, 0.6], [1.0, 1.0, 1.0]), ([], [])],
)
def test_holm(ps: list[float], adjusted: list[float]) -> None:
    assert statistics.holm(ps) == pytest.approx(adjusted)


def test_sign_flips_by_hand_and_against_the_normal_law() -> None:
    assert statistics.paired_mean_p([0.0] * 3, [1.0, 2.0, 3.0]) == pytest.approx(2 / 8)
    assert statistics.paired_mean_p([0.0] * 4, [1.0, -1.0, 2.0, 2.0]) == pytest.approx(6 / 16)
    assert statistics.paired_mean_p([1.0, 2.0], [1.0, 2.0]) == 1.0
    differences = np.random.default_rng(5).standard_normal(300) + 0.1
    z = abs(differences.mean()) / differences.std(ddof=1) * np.sqrt(300)
    from math import erfc

    assert statistics.paired_mean_p([0.0] * 300, differences.tolist()) == pytest.approx(erfc(z / np.sqrt(2)), abs=0.02)


def constant(folder: Path, labels: Sequence[int], answer: int) -> Path:
    """A run that gives one answer to every item."""
    folder.mkdir()
    right = [float(label == answer) for label in labels]
    outputs = [output("ja/x", n, score, prediction=answer, gold=labels[n]) for n, score in enumerate(right)]
    write_scores(folder, Scores({"name": folder.name}, "jp-adapt", [benchmark("ja/x", right)]))
    write_outputs(folder / "outputs.jsonl", outputs)
    return folder


def test_a_constant_answer_is_no_evidence(tmp_path: Path) -> None:
    """Two models that each always give one label, on items of one kind: the difference is large, and says nothing."""
    labels = [1] * 150 + [0] * 50
    report = compare_scores(constant(tmp_path / "a", labels, 0), constant(tmp_path / "b", labels, 1))
    entry = report.pairs[0].benchmarks[0]
    assert entry.p is not None
    assert entry.p < 1e-6
    assert (entry.outcome, entry.p_holm, report.tests) == ("no verdict", None, 0)
    assert entry.verdict == (
        "no verdict: a answers 'あ' on 200 of 200 items; that alone scores 0.2500; b answers 'い' on 200 of 200 items; that alone scores 0.7500"
    )
    assert "A: degenerate: answers 'あ' on 200 of 200 items; that alone scores 0.2500" in notes(entry)


def test_a_constant_answer_on_one_side_is_enough(tmp_path: Path) -> None:
    labels = [n % 2 for n in range(200)]
    good = tmp_path / "good"
    good.mkdir()
    write_scores(good, Scores({"name": "good"}, "jp-adapt", [benchmark("ja/x", [1.0] * 200)]))
    write_outputs(good / "outputs.jsonl", [output("ja/x", n, 1.0, prediction=label, gold=label) for n, label in enumerate(labels)])
    entry = compare_scores(good, constant(tmp_path / "b", labels, 1)).pairs[0].benchmarks[0]
    assert (entry.outcome, entry.degenerate) == ("no verdict", ["B: answers 'い' on 200 of 200 items; that alone scores 0.5000"])


@pytest.mark.parametrize(("items", "outcome"), [(29, "no verdict"), (30, "worse")])
def test_fewer_than_thirty_items_get_no_verdict(tmp_path: Path, items: int, outcome: str) -> None:
    a, b = write_run(tmp_path / "a", {"ja/x": [1.0] * items}), write_run(tmp_path / "b", {"ja/x": [0.0] * (items - 4) + [1.0] * 4})
    report = compare_scores(a, b)
    entry = report.pairs[0].benchmarks[0]
    assert (entry.outcome, report.tests) == (outcome, int(outcome == "worse"))
    if outcome == "no verdict":
        assert entry.verdict == "no verdict: 29 items are too few; 30 are needed"


def test_what_has_no_verdict_is_not_one_of_the_tests_that_are_corrected_for(tmp_path: Path) -> None:
    base = coins(0.5, 400, 1)
    better = [1.0 if n % 8 == 0 else value for n, value in enumerate(base)]
    few = {f"ja/few{n}": [1.0, 0.0] * 5 for n in range(20)}
    report = compare_scores(write_run(tmp_path / "a", {"ja/x": base} | few), write_run(tmp_path / "b", {"ja/x": better} | few))
    entry = report.pairs[0].benchmarks[0]
    assert (report.tests, entry.outcome) == (1, "better")
    assert entry.p_holm == entry.p


def test_runs_of_the_same_name_are_told_apart_by_their_paths(tmp_path: Path) -> None:
    runs = []
    for name in ("a", "b"):
        (tmp_path / name / "stages" / "model").mkdir(parents=True)
        runs.append(write_run(tmp_path / name / "stages" / "model" / "final", {"ja/x": coins(0.5, 40, 1)}))
    report = compare_scores(*runs)
    assert [model.name for model in report.models] == ["final (a/stages/model/final)", "final (b/stages/model/final)"]


def test_a_comparison_as_a_table(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, {"ja/x": coins(0.5, 100, n)}) for n, name in enumerate("abc")]
    frame = compare_scores(*runs).to_pandas()
    assert list(frame["model_b"]) == ["b", "c"]
    assert {"verdict", "p_holm", "low", "high", "difference"} <= set(frame.columns)
