"""The evolve stage on a base that sees: adapters of its language part are merged by texts and pictures, and what sees stays."""

from __future__ import annotations

import math
from collections import defaultdict
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from safetensors.torch import load_file

import jp_adapt
from jp_adapt.commands.evolve_measures import Meter, load_measures
from jp_adapt.core.errors import InputError
from jp_adapt.inference.model_folder import load_model
from jp_adapt.pipeline.run import run_recipe
from jp_adapt.recipe.evolve import Measure
from jp_adapt.recipe.load import load_recipe
from jp_adapt.report.evolution import EVOLUTION, Evolution
from tests import drawn_shapes
from tests.pipeline.stages.test_evolve import write_recipe
from tests.seeing import answer_with_picture, make_seeing

SHORT = ["stages.ja.budget.tokens=300", "stages.en.budget.tokens=300", "stages.best.generations=1", "stages.best.population=4"]
SHORT += ["stages.best.uniform=[0.5]", "stages.best.rounds=1", "stages.best.gradient={steps: 1}"]


@pytest.fixture(scope="module")
def llava(pico, tmp_path_factory):
    return make_seeing("llava", pico, tmp_path_factory.mktemp("seeing") / "llava")


def shown(folder):
    """Eight pictures as a measure: twelve questions are asked, six are held out."""
    declaration = drawn_shapes.write_benchmark(folder, "shapes", 500, 8)
    return f"stages.best.fitness.shapes={{benchmark: {declaration}, items: 12, heldout: 6}}"


def test_adapters_of_a_language_part_are_merged(llava, tmp_path):
    recipe = write_recipe(tmp_path / "recipe", llava, genome="{weight: [0, 1.5]}")
    run_recipe(load_recipe(recipe, [*SHORT, shown(tmp_path)]), tmp_path / "run")
    final = tmp_path / "run" / "stages" / "best" / "final"
    old, new = load_file(llava / "model.safetensors"), load_file(final / "model.safetensors")
    assert all(torch.equal(new[name], tensor) for name, tensor in old.items() if not name.startswith("language_model."))
    name = "language_model.model.layers.0.mlp.up_proj.weight"
    assert not torch.equal(new[name], old[name])
    assert len(answer_with_picture(final, "llava")) == 4
    evolution = Evolution.read(jp_adapt.open_run(tmp_path / "run").result("best") / EVOLUTION)
    assert {(entry.dev_items, entry.heldout_items) for entry in evolution.figures if entry.name.startswith("shapes")} == {(12, 6)}
    assert all({"shapes", "shapes/accuracy"} <= set(entry.heldout) for entry in evolution.models)


def test_pictures_are_measured_as_an_evaluation_asks_about_them(llava, tmp_path, monkeypatch):
    monkeypatch.setattr("jp_adapt.inference.token_backend.PICTURES_IN_VIEW", 3)
    declaration = drawn_shapes.write_benchmark(tmp_path, "shapes", 500, 8)
    settings: Any = SimpleNamespace(fitness={"shapes": Measure(benchmark=str(declaration), items=18)}, data=None)
    (measure,) = load_measures(settings, {}, 1)
    meter = Meter(load_model(llava, "float32"), [measure])
    scores, bits = meter.scores_and_bits("shapes", measure.dev)
    prompts = [measure.asked.prompts[item] for item in measure.dev]
    texts, pictures = [prompt.text for prompt in prompts], [prompt.pictures for prompt in prompts]
    asked = load_model(llava, "float32").backend.choose(texts, [prompt.choices for prompt in prompts], "safe", lambda done, note: None, pictures)
    right = [cast("int", prompt.item.answer) for prompt in prompts]
    assert bits == pytest.approx([-entry.log_likelihoods[answer] / math.log(2) for entry, answer in zip(asked, right, strict=True)], abs=1e-4)
    assert scores == [float(max(entry.log_likelihoods) == entry.log_likelihoods[answer]) for entry, answer in zip(asked, right, strict=True)]
    assert meter.losses({"shapes": measure.dev})["shapes"] == pytest.approx(measure.losses(measure.dev, bits, scores), abs=1e-5)
    alike = defaultdict(set)
    for item, value in zip(measure.dev, bits, strict=True):
        alike[measure.pairs[item]].add(value)
    assert max(map(len, alike.values())) > 1, "the same question with the same answer about another picture"


def test_models_that_do_not_see_are_refused_before_the_search(pico, tmp_path):
    recipe = write_recipe(tmp_path / "recipe", pico, genome="{weight: [0, 1.5]}")
    with pytest.raises(InputError, match=r"'shapes' has items with pictures, and these models do not see: base, ja, en; all are measured on all items"):
        run_recipe(load_recipe(recipe, [*SHORT, shown(tmp_path)]), tmp_path / "run")
