"""Merge recipes: every problem at its file and line, with the way out."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jp_adapt.core.errors import UsageError
from jp_adapt.merging.settings import Condition
from jp_adapt.recipe.load_merge import load_merge

GOOD = """\
format: 1
name: x
method: ties
base: base
models:
  base: {path: base}
  ja: {path: sub/ja, weight: [0, 1], density: 0.5}
  math: {adapter: /abs/math, weight: [{module: mlp, layers: [0, 2], value: [0, 1]}, {value: 2e-1}]}
lambda: 0.9
"""


def load(tmp_path, text, overrides=()):
    path = tmp_path / "merge.yaml"
    path.write_text(text, encoding="utf-8")
    return load_merge(path, overrides)


def test_settings_are_read(tmp_path):
    recipe = load(tmp_path, GOOD).recipe
    assert recipe.models["ja"].given() == {"weight": (0.0, 1.0), "density": 0.5}
    assert recipe.models["math"].given() == {"weight": (Condition((0.0, 1.0), "mlp", (0, 2)), Condition(0.2))}
    assert recipe.shared() == {"lambda": 0.9}
    assert recipe.models["ja"].path == str(tmp_path / "sub" / "ja")
    assert recipe.models["math"].adapter == "/abs/math"
    assert recipe.folder_of("math") == str(tmp_path / "base")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("method: ties", "method: tiess", r":3: method is 'tiess' \(did you mean 'ties'\?\); methods: linear, slerp"),
        ("base: base\n", "", ":3: ties merges differences to a base; name it: base: MODEL"),
        ("base: base\n", "base: bse\n", r":4: base is 'bse' \(did you mean 'base'\?\); the models are base, ja, math"),
        ("method: ties", "method: linear", r":4: linear takes no base; take 'base' out \(and 'base' too, if it is not to be merged\)"),
        ("density: 0.5", "densty: 0.5", r":7: unknown key 'densty' \(did you mean 'density'\?\)"),
        ("density: 0.5", "density: 1.5", ":7: density of 'ja' is 1.5; it is a share, above 0 and up to 1"),
        ("density: 0.5", "epsilon: 0.1", ":7: ties takes no 'epsilon' of a model; it takes weight, density"),
        ("base: {path: base}", "base: {path: base, weight: 1}", ":6: 'base' is the base, which takes no 'weight'"),
        ("module: mlp", "modul: mlp", r":8: models.math.weight .*unknown key 'modul' \(did you mean 'module'\?\) in a condition"),
        ("layers: [0, 2]", "layers: [2, 2]", r":8: .*layers is \[2, 2\]; write \[first, last \+ 1\], counted from 0"),
        ("weight: [0, 1]", "weight: [0, x]", ":7: models.ja.weight is .*: give a number, a list of numbers"),
        ("weight: [0, 1]", "weight: .nan", ":7: models.ja.weight is nan: give a number"),
        ("lambda: 0.9", "t: 0.5", r":9: ties takes no 't'; it takes lambda, normalize, weight, density"),
        ("adapter: /abs/math, ", "", ":8: 'math' needs a 'path': the folder of a model or, with 'adapter', of the adapter's base"),
        ("  ja: {path: sub/ja, weight: [0, 1], density: 0.5}\n", "", None),
        ("path: sub/ja, weight: [0, 1], density: 0.5", "path: sub/ja", ":7: 'ja' has no weight; ties needs one, and it has no default: weight: NUMBER"),
        ("lambda: 0.9", "around: ja", ":9: ties merges embeddings and heads as all else; take 'around' out"),
        ("lambda: 0.9", "write: adapter", r":9: write: adapter needs a method that adds whole matrices \(linear, task_arithmetic\), without slices"),
        ("lambda: 0.9", "tokenizer: jaa", r":9: tokenizer is 'jaa' \(did you mean 'ja'\?\); the models are base, ja, math"),
        ("lambda: 0.9", "slices: [{models: {ja: {layers: [0, 1]}}}]", r":9: slice 0 lacks the layers of the base 'base'"),
        (
            "format: 1\nname: x\nmethod: ties",
            "merge_method: ties",
            r":1: a configuration of mergekit; .* jp-adapt merge from-mergekit .*merge.yaml > merge.yaml",
        ),
    ],
)
def test_problems_are_told_with_their_line(old, new, message, tmp_path):
    assert old in GOOD
    if message is None:
        load(tmp_path, GOOD.replace(old, new))
        return
    with pytest.raises(UsageError, match="merge.yaml" + message):
        load(tmp_path, GOOD.replace(old, new))


def test_all_problems_are_told_at_once(tmp_path):
    with pytest.raises(UsageError) as caught:
        load(tmp_path, GOOD.replace("density: 0.5", "density: 2").replace("lambda: 0.9", "topk: 0.5"))
    assert str(caught.value).count("merge.yaml:") == 2


def test_a_recipe_is_checked_without_torch(tmp_path):
    path = tmp_path / "merge.yaml"
    path.write_text(GOOD, encoding="utf-8")
    load = f"from jp_adapt.recipe.load_merge import load_merge; load_merge(Path({str(path)!r}))"
    code = f"import sys; from pathlib import Path; {load}; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"
