"""The evolve stage on a base that sees: adapters of its language part are merged, and what sees stays."""

from __future__ import annotations

import torch
from safetensors.torch import load_file

from jp_adapt.pipeline.run import run_recipe
from jp_adapt.recipe.load import load_recipe
from tests.pipeline.stages.test_evolve import write_recipe
from tests.seeing import answer_with_picture, make_seeing


def test_adapters_of_a_language_part_are_merged(pico, tmp_path):
    base = make_seeing("llava", pico, tmp_path / "llava")
    recipe = write_recipe(tmp_path / "recipe", base, genome="{weight: [0, 1.5]}")
    short = ["stages.ja.budget.tokens=300", "stages.en.budget.tokens=300", "stages.best.generations=1", "stages.best.population=4", "stages.best.uniform=[0.5]"]
    run_recipe(load_recipe(recipe, [*short, "stages.best.rounds=1"]), tmp_path / "run")
    final = tmp_path / "run" / "stages" / "best" / "final"
    old, new = load_file(base / "model.safetensors"), load_file(final / "model.safetensors")
    assert all(torch.equal(new[name], tensor) for name, tensor in old.items() if not name.startswith("language_model."))
    name = "language_model.model.layers.0.mlp.up_proj.weight"
    assert not torch.equal(new[name], old[name])
    assert len(answer_with_picture(final, "llava")) == 4
