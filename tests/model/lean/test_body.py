"""A lean body gives the states and the gradients of transformers' own, and is not made where it would not."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from jp_adapt.model.architectures import PLAIN
from jp_adapt.model.causal import CausalModel, load_base
from jp_adapt.model.lean.body import KNOWN, lean_body
from jp_adapt.model.lora import LoraSettings, lora_parameters
from jp_adapt.training.optimizer import trainable_parameters

POSITIONS = torch.tensor([[*range(12), *range(148)], [*range(160)]])  # documents longer than a tile, and shorter
IDS = torch.randint(0, 400, POSITIONS.shape, generator=torch.Generator().manual_seed(0))
ALL = LoraSettings(4, 8.0)


def small(kind: str = "llama", **options: Any) -> Any:
    sizes = {"vocab_size": 400, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 6, "num_key_value_heads": 2}
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **(sizes | {"max_position_embeddings": 512} | options))
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="jp_adapt_documents")


def trainable(base: Any, settings: LoraSettings | None = ALL) -> CausalModel:
    """With LoRA that changes something: B is not zero."""
    model = CausalModel(base)
    if settings is not None:
        model.add_lora(settings, seed=0)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in lora_parameters(model.body).items():
        if "lora_B" in name:
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.1
    return model


def states_and_gradients(model: CausalModel, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    embedded = model.embedding(IDS).detach().to(dtype).requires_grad_()
    model.embedding.forward = lambda ids: embedded
    model.dtype = dtype
    hidden = model(IDS, POSITIONS)
    weights = torch.linspace(-1, 1, hidden.numel()).view(hidden.shape)
    (hidden * weights).sum().backward()
    return {"hidden": hidden.detach(), "embedded": embedded.grad} | {name: parameter.grad for name, parameter in lora_parameters(model.body).items()}


def both(base: Any, settings: LoraSettings | None = ALL) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    model, plain = trainable(copy.deepcopy(base), settings), trainable(base, settings)
    model.make_lean()
    assert model.lean is not None
    return states_and_gradients(model), states_and_gradients(plain)


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ({}, ALL),
        ({"num_key_value_heads": 6, "head_dim": 8}, ALL),
        ({"kind": "mistral", "sliding_window": None}, LoraSettings(3, 8.0, rslora=True)),
        ({"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 1000.0}}, ALL),
        ({}, LoraSettings(4, 8.0, targets=("q_proj", "v_proj", "down_proj"))),
        ({}, None),
    ],
)
def test_equals_transformers(options, settings):
    ours, theirs = both(small(**options), settings)
    assert len(ours) == 2 + (0 if settings is None else 2 * 2 * len(settings.targets or range(7)))
    for name, value in ours.items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-4, atol=1e-4 * float(theirs[name].abs().max()), msg=name)


def test_rounding_is_that_of_transformers():
    exact = both(small())[1]
    errors = []
    for lean in (True, False):
        model = trainable(small().to(torch.bfloat16))
        if lean:
            model.make_lean()
        results = states_and_gradients(model, torch.bfloat16)
        errors.append({name: float((value.double() - exact[name]).norm() / exact[name].norm()) for name, value in results.items()})
    for name, error in errors[0].items():
        assert error <= max(1.5 * errors[1][name], 0.01), name


def test_recomputing_changes_no_bit(pico):
    results = []
    for recompute in (False, True):
        model = trainable(load_base(pico, torch.float32))
        if recompute:
            model.body.train()
            model.body.gradient_checkpointing_enable({"use_reentrant": False})
        model.make_lean()
        results.append(states_and_gradients(model))
    assert all(torch.equal(value, results[1][name]) for name, value in results[0].items())


def test_only_steps_go_through_it(pico):
    model = trainable(load_base(pico, torch.float32))
    model.make_lean()
    assert _uses(model(IDS, POSITIONS))
    with torch.no_grad():
        states = model(IDS, POSITIONS)
    torch.testing.assert_close(states, model(IDS, POSITIONS), rtol=1e-4, atol=1e-5)
    model.attention = "mask"
    assert not _uses(model(IDS, POSITIONS))


def _uses(hidden: Tensor) -> bool:
    """Whether one of our functions made it."""
    open_nodes, seen = [hidden.grad_fn], set()
    while open_nodes:
        node = open_nodes.pop()
        if node is not None and node not in seen:
            seen.add(node)
            open_nodes += [next_node for next_node, _ in node.next_functions]
    return any("_FeedForward" in node.name() for node in seen)


@pytest.mark.parametrize(
    ("options", "settings"),
    [
        ({"kind": "qwen2"}, ALL),
        ({"attention_bias": True}, ALL),
        ({"mlp_bias": True}, ALL),
        ({"hidden_act": "gelu"}, ALL),
        ({"attention_dropout": 0.1}, ALL),
        ({"kind": "mistral", "sliding_window": 64}, ALL),
        ({}, LoraSettings(4, 8.0, dora=True)),
    ],
)
def test_what_it_does_not_know_stays_with_transformers(options, settings):
    model = trainable(small(**options), settings)
    assert lean_body(model.body) is None


def test_plan_counts_these_layers_for_the_kinds_that_they_are_made_for():
    assert {body.config_class.model_type for body in KNOWN} == set(PLAIN)


def test_a_body_that_trains_stays_with_transformers(pico):
    model = CausalModel(load_base(pico, torch.float32))
    model.unfreeze(body=True, embeddings=False)
    assert lean_body(model.body) is None
    rows = trainable(load_base(pico, torch.float32))
    rows.unfreeze(body=False, embeddings=True)
    assert lean_body(rows.body) is not None
    assert "old_rows.input" in trainable_parameters(rows)


def test_a_layer_of_another_class_stays_with_transformers(pico):
    model = trainable(load_base(pico, torch.float32))
    layer = model.body.layers[1]
    layer.__class__ = type("Sharded", (type(layer),), {})  # as FSDP does
    assert lean_body(model.body) is None
