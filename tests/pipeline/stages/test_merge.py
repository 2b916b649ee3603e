"""The merge stage: what a run made becomes one model, evaluated like any other."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

import jp_adapt
from jp_adapt.core.errors import InputError, RunFolderError, UsageError
from jp_adapt.recipe.load import load_recipe
from tests.merging.models import change_weights, tuned
from tests.recipes import write_small_recipe

MERGE = """\
  - id: both
    kind: merge
    method: task_arithmetic
    base: base
    models:
      base: {{start: base}}
      ja: {{start: cpt, weight: 0.5}}
      other: {{path: {other}, weight: 1}}
  - {{id: eval, kind: evaluate, models: [base, both], texts: [ja]}}
"""


@pytest.fixture(scope="module")
def recipe(pico, tmp_path_factory):
    folder = tmp_path_factory.mktemp("merge-stage")
    path = write_small_recipe(folder / "recipe", pico)
    text = path.read_text(encoding="utf-8")
    tuned(pico, folder / "recipe" / "other", 6)
    path.write_text(text[: text.index("  - id: eval")] + MERGE.format(other="other"), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(recipe):
    jp_adapt.run_recipe(load_recipe(recipe), recipe.parent / "run")
    return jp_adapt.open_run(recipe.parent / "run")


def test_an_adapter_of_the_run_and_a_folder_become_a_model(run, pico, recipe):
    merged = load_file(run.result("both") / "model.safetensors")
    base, adapted, other = (load_file(folder / "model.safetensors") for folder in (pico, run.result("model"), recipe.parent / "other"))
    name = "model.layers.0.mlp.up_proj.weight"
    assert torch.allclose(merged[name], base[name] + 0.5 * (adapted[name] - base[name]) + (other[name] - base[name]), atol=1e-6)
    rows = adapted["model.embed_tokens.weight"]
    assert torch.equal(merged["model.embed_tokens.weight"][500:], rows[500:])
    assert len(rows) > 500
    assert "start: cpt" in (run.result("both") / "README.md").read_text(encoding="utf-8")
    assert json.loads((run.result("both") / "config.json").read_text(encoding="utf-8"))["vocab_size"] == len(rows)
    assert (run.result("both") / "jp_adapt.json").is_file()
    assert list(run.stages) == ["tok", "rows", "cpt", "model", "both", "eval"]


def test_a_finished_merge_is_not_done_again_and_other_weights_are_other_work(run, recipe, pico):
    assert jp_adapt.run_recipe(load_recipe(recipe), recipe.parent / "run").stages_done == []
    change_weights(recipe.parent / "other", lambda name, weight: weight * 1.5)
    with pytest.raises(RunFolderError, match=r"inputs\.models/other/path/model\.safetensors"):
        jp_adapt.run_recipe(load_recipe(recipe), recipe.parent / "run")


@pytest.mark.parametrize(
    ("old", "new", "error", "message"),
    [
        ("start: cpt", "start: ctp", UsageError, r"small.yaml:\d+: no stage 'ctp' \(did you mean 'cpt'\?\)"),
        (
            "start: cpt",
            "start: tok",
            UsageError,
            r"small.yaml:\d+: kind merge starts from base or rows or pretrain or export or preference or merge or evolve, and 'tok' is",
        ),
        ("start: cpt, ", "", UsageError, r"small.yaml:\d+: 'ja' needs a 'start', the stage that made it, or the 'path' of a model folder"),
        ("path: other", "path: nowhere", InputError, r"small.yaml:\d+: no such folder: .*nowhere"),
        ("base: base\n", "base: bse\n", UsageError, r"small.yaml:\d+: base is 'bse' \(did you mean 'base'\?\); the models are base, ja, other"),
        ("weight: 0.5", "wieght: 0.5", UsageError, r"small.yaml:\d+: unknown key 'wieght' \(did you mean 'weight'\?\)"),
        ("method: task_arithmetic", "method: task_arithmetik", UsageError, r"small.yaml:\d+: method is 'task_arithmetik' \(did you mean 'task_arithmetic'\?\)"),
    ],
)
def test_problems_of_a_merge_stage_are_told_before_anything_runs(old, new, error, message, recipe):
    wrong = recipe.parent / "wrong" / "small.yaml"
    wrong.parent.mkdir(exist_ok=True)
    text = recipe.read_text(encoding="utf-8")
    assert old in text
    wrong.write_text(text.replace(old, new).replace("path: ja.jsonl", "path: ../ja.jsonl").replace("path: en.jsonl", "path: ../en.jsonl"), encoding="utf-8")
    with pytest.raises(error, match=message):
        load_recipe(wrong)
