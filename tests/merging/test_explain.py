"""`merge explain`: parents and coefficients from weights alone."""

from __future__ import annotations

import json
import random

import pytest
import torch

from jp_adapt.cli.main import main
from jp_adapt.core.errors import InputError
from jp_adapt.merging import methods
from jp_adapt.merging.checkpoint import TensorInfo
from jp_adapt.merging.explain import explain_merge
from tests.merging.models import change_weights, tuned, weights_of

NAMES = ["model.embed_tokens.weight", *(f"model.layers.{layer}.{part}.weight" for layer in range(3) for part in ("self_attn.q_proj", "input_layernorm"))]


class InMemory:
    """Weights that were never on disk."""

    def __init__(self, tensors):
        self.values = tensors
        self.tensors = {name: TensorInfo(tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}

    def read(self, name):
        return self.values[name]


def candidates(seed):
    """A base and five models tuned from it, more or less, which share a part of their change."""
    generator = torch.Generator().manual_seed(seed)
    sizes = random.Random(seed)

    def noise(name, size):
        return size * torch.randn((48,) if "norm" in name else (60, 48), generator=generator)

    base = {name: noise(name, 0.05) for name in NAMES}
    common = {name: noise(name, 0.003) for name in NAMES}
    results = {"base": base}
    for number in range(5):
        size = sizes.choice([0.001, 0.003, 0.006])
        results[f"m{number}"] = {name: base[name] + common[name] + noise(name, size) for name in NAMES}
    return results


def merged(models, work, dtype=torch.float32):
    return InMemory({name: work([model[name] for model in models]).to(dtype) for name in NAMES})


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("seed", range(20))
def test_three_parents_of_six_candidates_are_found_with_their_coefficients(seed, dtype):
    choice = random.Random(seed)
    models = candidates(seed)
    names = choice.sample(["m0", "m1", "m2", "m3", "m4"], 3)
    weights = [choice.uniform(0.1, 1.0) for _ in names]
    parents = [models[name] for name in names]
    everything = {name: InMemory(model) for name, model in models.items()}
    linear = explain_merge(merged(parents, lambda tensors: methods.linear(tensors, weights), dtype), everything)
    assert sorted(linear.parents) == sorted(names)
    for name, weight in zip(names, weights, strict=True):
        assert linear.whole.coefficients[name] == pytest.approx(weight / sum(weights), abs=0.02)
    arithmetic = explain_merge(merged([models["base"], *parents], lambda tensors: methods.task_arithmetic(tensors[0], tensors[1:], weights), dtype), everything)
    assert sorted(arithmetic.parents) == sorted([*names, "base"])
    for name, weight in zip(names, weights, strict=True):
        assert arithmetic.whole.coefficients[name] == pytest.approx(weight, abs=0.02)
        assert all(estimate.coefficients[name] == pytest.approx(weight, abs=0.1) for estimate in arithmetic.layers.values())
    assert arithmetic.whole.unexplained == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("method", ["dare_linear", "dare_ties"])
def test_parents_of_a_merge_that_drops_elements_are_found_too(method):
    models = candidates(3)
    parents = [models[name] for name in ("base", "m1", "m4")]
    function = getattr(methods, method)
    model = merged(parents, lambda tensors: function(tensors[0], tensors[1:], [0.7, 0.6], [0.5, 0.5], [1, 2]))
    explanation = explain_merge(model, {name: InMemory(entry) for name, entry in models.items()})
    assert sorted(explanation.parents) == ["base", "m1", "m4"]
    assert explanation.whole.unexplained > 0.1


def test_a_scaled_sum_and_coefficients_by_layer():
    models = candidates(1)
    a, b = models["m0"], models["m1"]
    made = {name: (0.8 * a[name] + 0.4 * b[name] if "layers.1." in name else 0.9 * a[name] + 0.3 * b[name]) for name in NAMES}
    explanation = explain_merge(InMemory(made), {name: InMemory(models[name]) for name in ("m0", "m1", "m2")})
    assert explanation.parents == ["m0", "m1"]
    assert explanation.layers[1].coefficients == pytest.approx({"m0": 0.8, "m1": 0.4}, abs=1e-3)
    assert explanation.layers[2].coefficients == pytest.approx({"m0": 0.9, "m1": 0.3}, abs=1e-3)
    assert sum(explanation.layers[None].coefficients.values()) == pytest.approx(1.2, abs=1e-4)


def test_a_copy_of_a_parent_is_that_parent():
    models = candidates(2)
    explanation = explain_merge(InMemory(models["m2"]), {name: InMemory(model) for name, model in models.items()})
    assert explanation.parents == ["m2"]
    assert explanation.whole.coefficients == pytest.approx({"m2": 1.0}, abs=1e-6)


def test_a_model_of_other_parents_stays_unexplained():
    models, strangers = candidates(2), candidates(9)
    explanation = explain_merge(InMemory(strangers["m0"]), {name: InMemory(model) for name, model in models.items()})
    assert explanation.whole.unexplained > 100


def test_layers_in_which_parents_do_not_differ_have_no_coefficients():
    models = candidates(4)
    a = models["m0"]
    b = {name: a[name] if "layers.0." in name else models["m1"][name] for name in NAMES}
    explanation = explain_merge(merged([a, b], lambda tensors: methods.linear(tensors, [1.0, 3.0])), {"a": InMemory(a), "b": InMemory(b)})
    assert explanation.layers[0].coefficients == {}
    assert explanation.layers[1].coefficients["b"] == pytest.approx(0.75, abs=1e-4)


def test_candidates_that_cannot_be_told_apart_are_refused():
    models = candidates(5)
    a, b = models["m0"], models["m1"]
    middle = {name: 0.5 * (a[name] + b[name]) for name in NAMES}
    with pytest.raises(InputError, match=r"a, b, c: these cannot be told apart, since one of them is a mixture of the others \(or a copy\); leave one out"):
        explain_merge(InMemory(a), {"a": InMemory(a), "b": InMemory(b), "c": InMemory(dict(a))})
    explanation = explain_merge(InMemory(middle), {"a": InMemory(a), "b": InMemory(b)})
    assert explanation.whole.coefficients == pytest.approx({"a": 0.5, "b": 0.5}, abs=1e-6)
    with pytest.raises(InputError, match="give at least two models that may be parents"):
        explain_merge(InMemory(a), {"a": InMemory(a)})


def test_command_line(pico, ja, math, tmp_path, capsys):
    base, first, second = (weights_of(folder) for folder in (pico, ja, math))
    model = tuned(pico, tmp_path / "model", 0, spread=0)
    change_weights(model, lambda name, weight: base[name] + 0.7 * (first[name] - base[name]) + 0.5 * (second[name] - base[name]))
    arguments = ["merge", "explain", str(model), "--parents", f"base={pico}", str(ja), str(math)]
    assert main([*arguments, "--base", "base"]) == 0
    out = capsys.readouterr().out
    assert "as task arithmetic on 'base': weights ja 0.7000, math 0.5000" in out
    assert "a mixture of these explains the model" in out
    assert main([*arguments, "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["whole"]["coefficients"]["base"] == pytest.approx(-0.2, abs=1e-3)
    assert [entry["layer"] for entry in value["layers"]] == [None, 0, 1]
    assert main([*arguments, "--base", "bsae"]) == 2
    assert "not one of the parents (did you mean 'base'?): base, ja, math" in capsys.readouterr().err
    assert main(["merge", "explain", str(model), "--parents", str(ja), str(ja)]) == 2
    assert "two parents are called 'ja'; give them names" in capsys.readouterr().err
