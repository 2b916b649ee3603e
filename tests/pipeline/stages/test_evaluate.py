"""The evaluate stage: the machinery of `jp-adapt eval` on a recipe's models, and what a prepared corpus holds of the items."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jp_adapt.benchmarks.items import load_benchmark
from jp_adapt.commands import evaluate as eval_command
from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.evaluation.compare import compare_scores
from jp_adapt.evaluation.results import read_outputs, read_scores
from jp_adapt.pipeline.run_folder import RunFolder
from jp_adapt.pipeline.stages.context import Context
from jp_adapt.pipeline.stages.evaluate import run_evaluate
from jp_adapt.recipe.load import load_recipe
from jp_adapt.recipe.schema import EvaluateStage
from jp_adapt.report.run_summary import StageEvaluation
from tests.benchmark_files import write_benchmark_files

RECIPE = """\
format: 1
name: measured
base: {{path: {base}}}
precision: float32
sources:
  corpus: {{path: corpus, language: ja, licence: CC0-1.0}}
stages:
  - {{id: cpt, kind: pretrain, start: base, data: [{{source: corpus}}], budget: {{tokens: 100}}}}
  - {{id: model, kind: export, start: cpt}}
  - {{id: eval, kind: evaluate, models: [base, model], {what}}}
"""
WHAT = "benchmarks: [ja/jnli, ja/mgsm-ja], data: upstream, profile: stability-0.3, shots: 1, limit: 3"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    write_benchmark_files(tmp_path / "upstream")
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "index.json").write_text("{}", encoding="utf-8")
    items = load_benchmark("ja/jnli", tmp_path / "upstream").items
    lines = [{"benchmark": "ja/jnli", "item": item.id, "share": 1.0} for item in items]
    (tmp_path / "corpus" / "overlap.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return tmp_path


def write(folder: Path, base: Path, what: str = WHAT) -> Path:
    path = folder / "measured.yaml"
    path.write_text(RECIPE.format(base=base, what=what), encoding="utf-8")
    return path


def prepared(folder: Path, base: Path, what: str = WHAT) -> tuple[EvaluateStage, Context, RunFolder]:
    """The stage with all it needs; the base stands in for what the training would export."""
    loaded = load_recipe(write(folder, base, what))
    run = RunFolder(folder / "run")
    (run.stage("model").path).mkdir(parents=True)
    run.stage("model").final.symlink_to(base)
    stage = loaded.recipe.stages[-1]
    assert isinstance(stage, EvaluateStage)
    return stage, Context(loaded.recipe, base, run.stage), run


def test_benchmarks_go_through_eval(pico: Path, here: Path) -> None:
    stage, context, run = prepared(here, pico)
    run_evaluate(stage, context, run.stage("eval"))
    final = run.stage("eval").final
    jnli, mgsm = StageEvaluation.read(final / "evaluation.json").benchmarks
    assert (jnli.name, mgsm.name) == ("ja/jnli@stability-0.3/1-shot/accuracy", "ja/mgsm-ja@stability-0.3/1-shot/harness_number_match")
    assert jnli.items == 3
    assert jnli.base is not None
    assert jnli.base == jnli.adapted
    assert jnli.comparison is not None
    assert (jnli.comparison.difference, jnli.comparison.p, jnli.comparison.test) == (0, 1.0, "McNemar, exact")
    assert jnli.comparison.verdict == "no verdict: 3 items are too few; 30 are needed"
    for role in ("base", "adapted"):
        assert len(list(read_outputs(final / role))) == 6
        assert (final / role / "index.html").is_file()
    assert compare_scores(final / "base", final / "adapted").tests == 0
    assert "Against " in (final / "adapted" / "index.html").read_text(encoding="utf-8")
    assert not (run.stage("eval").path / "work").exists()


def test_a_prepared_corpus_brings_its_overlap(pico: Path, here: Path) -> None:
    stage, context, run = prepared(here, pico, WHAT.replace("ja/jnli, ja/mgsm-ja", "ja/jnli"))
    run_evaluate(stage, context, run.stage("eval"))
    base, adapted = (read_scores(run.stage("eval").final / role).benchmarks[0] for role in ("base", "adapted"))
    assert base.touched is None, "the base did not train on it"
    assert adapted.touched is not None
    assert adapted.touched.items == 3
    warnings = StageEvaluation.read(run.stage("eval").final / "evaluation.json").benchmarks[0].warnings
    assert "adapted: contamination: 3 of 3 items stand in the training corpus; see their scores apart" in warnings


def test_a_stopped_stage_goes_on_behind_what_is_finished(pico: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage, context, run = prepared(here, pico)
    works, asked = eval_command.run_benchmark, list[str]()

    def stops(loaded: Any, *rest: Any) -> Any:
        asked.append(loaded.id)
        if len(asked) == 2:
            raise KeyboardInterrupt
        return works(loaded, *rest)

    monkeypatch.setattr(eval_command, "run_benchmark", stops)
    with pytest.raises(KeyboardInterrupt):
        run_evaluate(stage, context, run.stage("eval"))
    assert not run.stage("eval").final.exists()
    run_evaluate(stage, context, run.stage("eval"))
    assert asked == ["ja/jnli", "ja/mgsm-ja", "ja/mgsm-ja", "ja/jnli", "ja/mgsm-ja"]


@pytest.mark.parametrize(
    ("what", "kind", "message"),
    [
        ("suite: quick, benchmarks: [ja/jnli]", UsageError, "'suite' and 'benchmarks' both say what to measure"),
        ("suite: quik", UsageError, r"measured\.yaml:10: no suite 'quik' \(did you mean 'quick'\?\)"),
        ("benchmarks: [ja/jmmlu], data: upstream, profile: lm-eval-ja", UsageError, r":10: ja/jmmlu: no protocol of profile 'lm-eval-ja'"),
        ("benchmarks: [ja/jnli]", InputError, r":10: ja/jnli: its data is not shipped"),
        ("benchmarks: [ja/jnli], data: nowhere", InputError, r"nowhere/jglue: no such folder"),
        ("benchmarks: [ja/jhumaneval], data: upstream", UsageError, r"ja/jhumaneval: its score comes from running programs .* which a recipe never does"),
        ("benchmarks: [quickstart/ja-everyday-100], shots: 2", UsageError, "shots is 2, and the benchmark has no examples to show"),
    ],
)
def test_what_is_wrong_is_told_before_any_work(pico: Path, here: Path, what: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        load_recipe(write(here, pico, what))
