"""A pretrain stage that starts from a tokenizer makes the new rows itself, as a rows stage would, and trains them with LoRA."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file

from jp_adapt.commands.plan import plan_recipe
from jp_adapt.model.rows import init_new_rows
from jp_adapt.pipeline.run import run_recipe
from jp_adapt.recipe.load import load_recipe
from tests.recipes import write_small_recipe


@pytest.fixture(scope="module")
def recipe(pico, tmp_path_factory):
    """The small recipe without its rows stage; its pretrain stage measures what the rows stage measured."""
    path = write_small_recipe(tmp_path_factory.mktemp("recipe"), pico)
    text = path.read_text(encoding="utf-8")
    rows, cpt = text.index("  - id: rows"), text.index("  - id: cpt")
    measured = "    heldout: [ja, en]\n    heldout_chars: 100\n    heldout_every: 5\n"
    text = text[:rows] + text[cpt:].replace("start: rows", "start: tok").replace("    lora:", f"{measured}    lora:")
    path.with_name("straight.yaml").write_text(text, encoding="utf-8")
    return path.with_name("straight.yaml")


@pytest.fixture(scope="module")
def run(recipe, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "run"
    run_recipe(load_recipe(recipe), out)
    return out


def test_new_rows_and_lora_train_from_the_mean_of_the_pieces(run, pico):
    base = load_file(pico / "model.safetensors")["model.embed_tokens.weight"]
    tokens = json.loads((run / "stages" / "tok" / "final" / "extension.json").read_text(encoding="utf-8"))["tokens"]
    first = init_new_rows(base, [token["sources"] for token in tokens], "mean")  # and an offset along one direction, which is short in a random model
    rows = load_file(run / "stages" / "cpt" / "final" / "new_rows.safetensors")["input"]
    moved = (rows - first).norm(dim=1) / first.norm(dim=1)
    assert rows.shape == first.shape
    assert 0 < float(moved.median()) < 1, "near where they began, and not there"
    lora = load_file(run / "stages" / "cpt" / "final" / "adapter_model.safetensors")
    assert all(matrix.abs().max() > 0 for matrix in lora.values())
    exported = load_file(run / "stages" / "model" / "final" / "model.safetensors")["model.embed_tokens.weight"]
    assert torch.equal(exported[: len(base)], base)
    assert torch.equal(exported[len(base) :], rows)


def test_it_begins_where_a_rows_stage_begins(run, recipe, tmp_path):
    run_recipe(load_recipe(recipe.with_name("small.yaml"), ["stages.cpt.budget.tokens=200"]), tmp_path / "rows")

    def start(stage) -> dict[str, float]:
        first = json.loads((stage / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[0])
        return {name: value for name, value in first.items() if name.startswith("bits_per")}

    ours, theirs = start(run / "stages" / "cpt"), start(tmp_path / "rows" / "stages" / "rows")
    assert ours
    assert ours == pytest.approx(theirs, rel=1e-6)


def test_calibrated_rows_begin_with_fewer_bits_than_the_mean_of_the_pieces(run, recipe, tmp_path):
    """Also where a model is random, whose states share no direction worth the name."""
    run_recipe(load_recipe(recipe, ["stages.cpt.init=mean", "stages.cpt.budget.tokens=200"]), tmp_path / "run")
    first = [json.loads((folder / "stages" / "cpt" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[0]) for folder in (run, tmp_path / "run")]
    assert first[0]["bits_per_char/ja"] < first[1]["bits_per_char/ja"]
    assert first[0]["bits_per_byte/en"] == pytest.approx(first[1]["bits_per_byte/en"], rel=0.01)


def test_other_first_values_can_be_asked_for(recipe, run, tmp_path):
    run_recipe(load_recipe(recipe, ["stages.cpt.init=norm_matched", "stages.cpt.budget.tokens=200"]), tmp_path / "run")
    ours, theirs = (load_file(folder / "stages" / "cpt" / "final" / "new_rows.safetensors")["input"] for folder in (tmp_path / "run", run))
    assert float((ours - theirs).norm() / theirs.norm()) > 0.2


def test_the_plan_counts_the_new_rows(recipe):
    stage = next(stage for stage in plan_recipe(load_recipe(recipe), "cpu-2core", 1)["stages"] if stage["id"] == "cpt")
    assert stage["new_tokens"] == 60
