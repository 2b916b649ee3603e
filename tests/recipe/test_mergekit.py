"""mergekit's YAML becomes a merge recipe, or is refused where it says what has no equal here."""

from __future__ import annotations

from pathlib import Path

import pytest

from jp_adapt.cli.main import main
from jp_adapt.core.errors import UsageError
from jp_adapt.merging.settings import Condition
from jp_adapt.recipe.load_merge import load_merge
from jp_adapt.recipe.mergekit import recipe_from_mergekit

TIES = """\
merge_method: ties
base_model: models/base
models:
  - model: models/base
  - model: models/ja
    parameters:
      density: [1, 0.7, 0.1]
      weight: 1.0
  - model: other/ja
    parameters:
      density: 0.5
      weight: [{filter: mlp, value: [0, 0.3]}]
parameters: {normalize: true, int8_mask: true, lambda: 1.1, weight: 2e-1}
dtype: float16
tokenizer_source: base
"""
SLERP = """\
slices:
  - sources:
      - {model: a/ja, layer_range: [0, 2]}
      - {model: b/base, layer_range: [0, 2]}
merge_method: slerp
base_model: b/base
parameters:
  t: [{filter: self_attn, value: [0, 0.5, 1]}, {value: 0.5}]
dtype: bfloat16
out_dtype: float32
"""
STACK = """\
slices:
  - sources: [{model: a, layer_range: [0, 2]}]
  - sources: [{model: b, layer_range: [1, 2], parameters: {scale: [{filter: o_proj, value: 0.0}, {value: 1.0}]}}]
merge_method: passthrough
"""


def taken_over(tmp_path, text):
    """The recipe, loaded."""
    source, target = tmp_path / "kit.yaml", tmp_path / "merge.yaml"
    source.write_text(text, encoding="utf-8")
    target.write_text(recipe_from_mergekit(source), encoding="utf-8")
    return load_merge(target).recipe


def test_ties_with_conditions_that_fall_back_on_common_parameters(tmp_path):
    recipe = taken_over(tmp_path, TIES)
    assert (recipe.method, recipe.base, recipe.tokenizer, recipe.dtype) == ("ties", "base", "base", "float16")
    assert recipe.shared() == {"normalize": 1.0, "lambda": 1.1}
    assert list(recipe.models) == ["base", "ja", "ja-2"]
    assert recipe.models["base"].given() == {}
    assert recipe.models["ja"].given() == {"density": (1.0, 0.7, 0.1), "weight": 1.0}
    assert recipe.models["ja-2"].given() == {"density": 0.5, "weight": (Condition((0.0, 0.3), "mlp"), Condition(0.2))}
    assert recipe.models["ja-2"].path == str(tmp_path / "other" / "ja")


def test_slerp_goes_from_the_base(tmp_path):
    recipe = taken_over(tmp_path, SLERP)
    assert recipe.base is None
    assert recipe.slices is not None
    assert list(recipe.slices[0].models) == ["base", "ja"]
    assert recipe.shared()["t"] == (Condition((0.0, 0.5, 1.0), "self_attn"), Condition(0.5))
    assert recipe.dtype == "float32"


def test_layers_are_stacked(tmp_path):
    recipe = taken_over(tmp_path, STACK)
    assert recipe.slices is not None
    assert [{name: entry.layers for name, entry in part.models.items()} for part in recipe.slices] == [{"a": (0, 2)}, {"b": (1, 2)}]
    assert recipe.slices[1].models["b"].given() == {"scale": (Condition(0.0, "o_proj"), Condition(1.0))}


def test_an_adapter_on_its_base(tmp_path):
    recipe = taken_over(tmp_path, "merge_method: task_arithmetic\nbase_model: b\nmodels: [{model: b+lora/one, parameters: {weight: 1}}]\n")
    assert recipe.models["one"].adapter == str(tmp_path / "lora" / "one")
    assert recipe.models["one"].path == str(tmp_path / "b")


@pytest.mark.parametrize(("method", "note"), [("dare_ties", "divided by its probability"), ("della", "Masks differ too"), ("ties", "arithmetic is float32")])
def test_differences_are_noted(method, note, tmp_path, capsys):
    path = tmp_path / "kit.yaml"
    path.write_text(TIES.replace("merge_method: ties", f"merge_method: {method}"), encoding="utf-8")
    assert main(["merge", "from-mergekit", str(path)]) == 0
    assert note in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (TIES.replace("merge_method: ties", "merge_method: karcher"), ":1: method 'karcher' is not one of ours: linear, slerp"),
        (TIES.replace("int8_mask: true", "rescale: true"), ":13: rescale: True has no equal here; only DARE and DELLA scale what they keep"),
        (TIES.replace("merge_method: ties", "merge_method: dare_ties").replace("int8_mask: true", "rescale: false"), ":13: rescale: False has no equal here"),
        (TIES.replace("models/ja", "models/ja@main"), r":5: model 'models/ja@main': give the folder of a model \(fetch a revision of the hub"),
        (TIES + "chat_template: auto\n", ":16: 'chat_template' has no equal here"),
        (TIES.replace("weight: 1.0", "weight: much"), ":8: 'much' is neither a number, nor a list of numbers, nor a list of values with filters"),
        (STACK + "modules: {}\n", ":5: 'modules' has no equal here"),
        ("format: 1\n", ":1: no configuration of mergekit"),
    ],
)
def test_what_has_no_equal_is_refused_with_its_line(text, message, tmp_path):
    path = tmp_path / "kit.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="kit.yaml" + message):
        recipe_from_mergekit(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("merge_method: slerp\nslices: 3\n", r"m\.yaml:2: slices is 3: a list is needed here"),
        ("merge_method: linear\nmodels: 3\n", r"m\.yaml:2: models is 3: a list is needed here"),
        ("merge_method: linear\nmodels: [a]\n", r"m\.yaml:2: models\.0 is 'a': a mapping is needed here"),
        ("merge_method: linear\nslices: [{sources: 3}]\n", r"m\.yaml:2: slices\.0\.sources is 3: a list is needed here"),
        ("merge_method: linear\nmodels:\n- {model: a, parameters: 5}\n", r"m\.yaml:3: models\.0\.parameters is 5: a mapping is needed here"),
        ("merge_method: linear\nmodels: []\nparameters: 3\n", r"m\.yaml:3: parameters is 3: a mapping is needed here"),
        ("merge_method: slerp\nslices: [{sources: [{model: a, layer_range: x}]}]\n", r"layer_range is 'x': a list is needed here"),
        ("merge_method: slerp\nslices: [{sources: [{model: a, layer_range: [0]}]}]\n", r"m\.yaml:2: '1' is missing here"),
    ],
)
def test_another_shape_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "m.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        recipe_from_mergekit(tmp_path / "m.yaml")
