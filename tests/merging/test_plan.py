"""Parameters by layer and module, slices, and what is refused before anything is computed."""

from __future__ import annotations

import pytest
import torch

from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.merging.checkpoint import TensorInfo
from jp_adapt.merging.plan import Parent, Slice, plan, whole_models
from jp_adapt.merging.settings import Condition, Place, in_layer, layer_of, value_at
from jp_adapt.merging.table import METHODS


class Shapes:
    """Weights that are never read."""

    def __init__(self, layers: int, *, names: tuple[str, ...] = ("mlp.up_proj",), width: int = 4) -> None:
        info = TensorInfo((8, width), torch.float32)
        self.tensors = {"model.embed_tokens.weight": info} | {f"model.layers.{layer}.{name}.weight": info for layer in range(layers) for name in names}
        self.tensors |= {"model.norm.weight": info, "lm_head.weight": info}

    def read(self, name: str) -> torch.Tensor:
        raise AssertionError(name)


def parent(layers: int, *, tied: bool = False, **shapes: object) -> Parent:
    return Parent(Shapes(layers, **shapes), tied)


def planned(method, parents, slices=None, **options):
    arguments = {"base": None, "rows": 8, "settings": {name: {"weight": 1.0} for name in parents}, "shared": {}}
    return plan(METHODS[method], parents, slices or whole_models(parents), **(arguments | options))


@pytest.mark.parametrize(
    ("setting", "place", "value"),
    [
        (0.5, Place("x", None, 0.0), 0.5),
        ((0.0, 1.0), Place("x", 3, 0.25), 0.25),
        ((0.0, 1.0, 0.0), Place("x", 3, 0.75), 0.5),
        ((2.0,), Place("x", 3, 0.75), 2.0),
        ((0.0, 0.3, 1.0), Place("x", 9, 1.0), 1.0),
        ((Condition(1.0, "mlp"), Condition((2.0, 4.0))), Place("a.mlp.b", 3, 0.5), 1.0),
        ((Condition(1.0, "mlp"), Condition((2.0, 4.0))), Place("a.attn.b", 3, 0.5), 3.0),
        ((Condition(1.0, layers=(2, 4)),), Place("x", 3, 0.5), 1.0),
        ((Condition(1.0, layers=(2, 4)),), Place("x", 4, 0.5), None),
        ((Condition(1.0, layers=(0, 4)),), Place("lm_head.weight", None, 0.0), None),
    ],
)
def test_the_value_of_a_parameter_at_a_place(setting, place, value):
    assert value_at(setting, place) == value


def test_layers_in_names():
    assert layer_of("model.layers.12.mlp.up_proj.weight") == 12
    assert layer_of("model.norm.weight") is None
    assert in_layer("model.layers.12.mlp.x.weight", 3) == "model.layers.3.mlp.x.weight"


def test_gradients_follow_the_layers_of_a_slice_and_the_ends_take_the_first_value():
    parents = {"a": parent(3), "b": parent(3)}
    jobs = planned("linear", parents, settings={"a": {"weight": (0.0, 1.0)}, "b": {"weight": 1.0}})
    assert [(job.place.name, job.per_model["weight"]) for job in jobs] == [
        ("model.embed_tokens.weight", [0.0, 1.0]),
        ("model.layers.0.mlp.up_proj.weight", [0.0, 1.0]),
        ("model.layers.1.mlp.up_proj.weight", [0.5, 1.0]),
        ("model.layers.2.mlp.up_proj.weight", [1.0, 1.0]),
        ("model.norm.weight", [0.0, 1.0]),
        ("lm_head.weight", [0.0, 1.0]),
    ]


def test_slices_renumber_layers_and_their_settings_go_first():
    parents = {"a": parent(4), "b": parent(3)}
    slices = [Slice({"a": (0, 2), "b": (1, 3)}, {"a": {"weight": 5.0}}), Slice({"b": (2, 3), "a": (3, 4)})]
    jobs = planned("linear", parents, slices)
    layers = {job.place.layer: job for job in jobs if job.place.layer is not None}
    assert [dict(job.sources) for job in layers.values()] == [
        {"a": "model.layers.0.mlp.up_proj.weight", "b": "model.layers.1.mlp.up_proj.weight"},
        {"a": "model.layers.1.mlp.up_proj.weight", "b": "model.layers.2.mlp.up_proj.weight"},
        {"b": "model.layers.2.mlp.up_proj.weight", "a": "model.layers.3.mlp.up_proj.weight"},
    ]
    assert [job.per_model["weight"] for job in layers.values()] == [[5.0, 1.0], [5.0, 1.0], [1.0, 1.0]]


def test_ties_stay_tied_and_one_untied_model_unties():
    assert "lm_head.weight" not in [job.place.name for job in planned("linear", {"a": parent(1, tied=True), "b": parent(1, tied=True)})]
    jobs = planned("linear", {"a": parent(1, tied=True), "b": parent(1)})
    assert dict(jobs[-1].sources) == {"a": "model.embed_tokens.weight", "b": "lm_head.weight"}


@pytest.mark.parametrize(
    ("work", "error", "message"),
    [
        (lambda: planned("linear", {"a": parent(2), "b": parent(3)}), InputError, r"different numbers of layers \('a' 2, 'b' 3\); say in 'slices' which"),
        (lambda: planned("linear", {"a": parent(2), "b": parent(2, width=5)}), InputError, r"model.embed_tokens.weight is \[8, 5\] in 'b' and \[8, 4\] in 'a'"),
        (
            lambda: planned("linear", {"a": parent(2), "b": parent(2, names=("mlp.up_proj", "mlp.bias"))}),
            InputError,
            r"'b' has a tensor model.layers.0.mlp.bias.weight and 'a' has none: these are two architectures",
        ),
        (lambda: planned("linear", {"a": parent(2)}, [Slice({"a": (0, 3)})]), UsageError, r"layers \[0, 3\] of 'a', which has 2; write \[first, last \+ 1\]"),
        (
            lambda: planned("linear", {"a": parent(2), "b": parent(2)}, [Slice({"a": (0, 1), "b": (0, 1)}), Slice({"a": (0, 2), "b": (0, 1)})]),
            UsageError,
            r"slice 1: its models give different numbers of layers \('a' 2, 'b' 1\); layers are merged one with one",
        ),
        (lambda: planned("slerp", {"a": parent(2)}, shared={"t": 0.5}), UsageError, "slerp merges 2 models, and 1 are given"),
        (lambda: planned("slerp", {"a": parent(2), "b": parent(2)}), UsageError, "slerp has no t for model.embed_tokens.weight; it needs one"),
        (
            lambda: planned("linear", {"a": parent(2), "b": parent(2)}, settings={"a": {"weight": 1.0}, "b": {"weight": (Condition(1.0, "mlp"),)}}),
            UsageError,
            "'b' has no weight for model.embed_tokens.weight; linear needs one, and it has no default: give 'weight', or end its list with {value: NUMBER}",
        ),
        (
            lambda: planned(
                "linear", {"a": parent(2), "b": parent(2)}, settings={"a": {"weight": (Condition(0.2, "self_atn"), Condition(1.0))}, "b": {"weight": 1.0}}
            ),
            UsageError,
            "weight of 'a': there is no tensor with 'self_atn' in its name, for which it has a value",
        ),
        (
            lambda: planned("slerp", {"a": parent(2), "b": parent(2)}, shared={"t": (Condition(0.2, layers=(2, 4)), Condition(1.0))}),
            UsageError,
            "t: there is no tensor in layers 2 to 3, for which it has a value",
        ),
    ],
)
def test_what_is_refused(work, error, message):
    with pytest.raises(error, match=message):
        work()
