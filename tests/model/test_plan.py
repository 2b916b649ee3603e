"""Sizes against the published numbers and against transformers' own models, and the arithmetic of memory and time."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from jp_adapt.core.errors import InputError
from jp_adapt.model.architectures import KNOWN, from_config, from_folder
from jp_adapt.model.causal import CausalModel, NewRows
from jp_adapt.model.lean_lora import add_lora
from jp_adapt.model.lora import LoraSettings, lora_parameters
from jp_adapt.model.plan import CHUNK_BYTES, DEVICES, Workload, flops_per_token, hours, memory_by_part, remedies, total
from jp_adapt.training import loss

LLAMA2 = Workload(KNOWN["meta-llama/Llama-2-7b-hf"], 12_581, 64, 4096, 128, 10**9)
LLAMA70 = Workload(KNOWN["meta-llama/Llama-3.1-70B-Instruct"], 0, 64, 4096, 128, 10**9, devices=8, micro_rows=16)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("meta-llama/Llama-2-7b-hf", 6_738_415_616),
        ("meta-llama/Llama-2-13b-hf", 13_015_864_320),
        ("meta-llama/Llama-2-70b-hf", 68_976_648_192),
        ("meta-llama/Meta-Llama-3-8B", 8_030_261_248),
        ("meta-llama/Llama-3.1-70B-Instruct", 70_553_706_496),
        ("HuggingFaceTB/SmolLM2-135M", 134_515_008),
    ],
)
def test_known_architectures_have_the_published_number_of_parameters(name, parameters):
    assert KNOWN[name].parameters == parameters


@pytest.mark.parametrize("tied", [True, False])
def test_sizes_are_those_of_the_model_that_transformers_makes(tied):
    config = LlamaConfig(
        vocab_size=500,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=3,
        num_attention_heads=8,
        num_key_value_heads=2,
        head_dim=16,
        tie_word_embeddings=tied,
    )
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    sizes = from_config(config.to_dict(), "config.json")
    assert sizes.parameters == model.num_parameters()
    real = LlamaForCausalLM(config)
    add_lora(real.get_decoder(), LoraSettings(4, 8), 0)
    assert sizes.lora_parameters(4) == sum(parameter.numel() for parameter in lora_parameters(real.get_decoder()).values())


def test_a_folder_needs_its_config_only(pico, tmp_path):
    (tmp_path / "config.json").write_bytes((pico / "config.json").read_bytes())
    assert from_folder(tmp_path) == from_folder(pico)
    (tmp_path / "config.json").write_text('{"model_type": "mamba"}', encoding="utf-8")
    with pytest.raises(InputError, match=r"config\.json: no size of a Llama-family model in it \('num_attention_heads'\)"):
        from_folder(tmp_path)


def test_the_chunk_of_logits_is_that_of_the_loss():
    assert CHUNK_BYTES == loss.CHUNK_BYTES


def test_memory_by_hand():
    parts = memory_by_part(LLAMA2)
    assert parts["weights"] == 2 * 6_738_415_616
    assert LLAMA2.new_row_parameters == 12_581 * 4096 * 2
    assert LLAMA2.trainable == LLAMA2.new_row_parameters + 159_907_840
    assert parts["optimizer"] == 2 * parts["trainable weights"] == 8 * LLAMA2.trainable
    head_rows = 12_581 * 4096
    assert parts["gradients"] == 4 * LLAMA2.trainable + 8 * head_rows  # of earlier micro-batches, and the head rows' as it is scaled
    assert parts["logits"] == 0  # the peak is behind the loss
    short = memory_by_part(replace(LLAMA2, sequence_tokens=256))
    assert short["logits"] == (32_000 + 12_581) * 256 * 6 + head_rows * 2
    assert short["gradients"] == 4 * LLAMA2.trainable + 8 * head_rows
    at_once = memory_by_part(replace(LLAMA2, sequence_tokens=256, rows_per_step=1))
    assert at_once["gradients"] == 8 * head_rows  # no earlier micro-batch


def test_the_peak_is_at_the_end_where_activations_are_few():
    parts = memory_by_part(replace(LLAMA2, sequence_tokens=16, rows_per_step=1))
    assert parts["gradients"] == 4 * LLAMA2.trainable + 6 * 12_581 * 4096
    assert parts["logits"] == 0


def test_the_base_is_6n_when_all_of_it_trains_and_4n_when_it_is_frozen():
    short = replace(LLAMA2, lora_rank=None, new_tokens=0, sequence_tokens=1)
    model = short.architecture
    assert flops_per_token(short) == pytest.approx(4 * model.linear_parameters + 4 * model.vocab_size * model.hidden_size, rel=1e-3)
    assert flops_per_token(replace(short, checkpointing=True)) == pytest.approx(flops_per_token(short) + 2 * model.linear_parameters, rel=1e-3)


def test_all_parameters_train_with_16_bytes_and_6_operations_each():
    work = replace(LLAMA2, lora_rank=None, new_tokens=0, sequence_tokens=1, train_body=True, train_rows=True)
    parts, parameters = memory_by_part(work), work.architecture.parameters
    assert work.trainable == parameters
    assert parts["weights"] == 0
    assert parts["trainable weights"] + parts["optimizer"] == 12 * parameters
    assert parts["gradients"] == 4 * parameters + 8 * 32_000 * 4096
    assert flops_per_token(work) == pytest.approx(6 * (parameters - 32_000 * 4096), rel=1e-3)  # the embedding only looks up
    rows = replace(LLAMA2, train_rows=True)
    assert rows.trainable == LLAMA2.trainable + 2 * 32_000 * 4096
    assert memory_by_part(rows)["weights"] == 2 * (parameters - 2 * 32_000 * 4096)


def test_hours_by_hand_and_over_devices():
    device = DEVICES["h100-80g"]
    entry = hours(LLAMA2, device)
    assert entry == pytest.approx(1e9 * flops_per_token(LLAMA2) / (989e12 * 0.35) / 3600)
    assert hours(replace(LLAMA2, devices=8), device) == pytest.approx(entry / 8)
    assert LLAMA2.steps == -(-(10**9) // (128 * 4096))


def test_what_does_not_fit_gets_remedies_in_order_until_it_fits():
    device = DEVICES["h100-80g"]
    results = list(remedies(LLAMA70, device))
    assert [remedy for remedy, _, _ in results] == ["micro_batch", "checkpointing", "shard"]
    sizes = [total(LLAMA70, device), *(total(work, device) for _, _, work in results)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-2] > device.memory_bytes >= sizes[-1]
    alone = [remedy for remedy, _, _ in remedies(replace(LLAMA70, devices=1, micro_rows=128), device)]
    assert alone == ["micro_batch", "checkpointing", "four_bit"]
    assert list(remedies(LLAMA2, DEVICES["h200-141g"])) == []


def test_nothing_helps_where_nothing_can():
    *_, (_, _, last) = remedies(replace(LLAMA70, sequence_tokens=2_000_000), DEVICES["l4-24g"])
    assert total(last, DEVICES["l4-24g"]) > DEVICES["l4-24g"].memory_bytes


@pytest.mark.parametrize("lean", [False, True])
def test_activations_are_what_autograd_keeps(lean):
    """The tensors that the blocks of a real model save for the backward pass, counted by storage, frozen weights left out."""
    sizes = from_config(
        {"hidden_size": 96, "intermediate_size": 256, "num_hidden_layers": 4, "num_attention_heads": 6, "num_key_value_heads": 2, "vocab_size": 100}, ""
    )
    kept = [_kept_bytes(replace(sizes, num_layers=layers), lean) for layers in (1, 4)]
    planned = [memory_by_part(replace(_small(replace(sizes, num_layers=layers)), lean=lean))["activations"] for layers in (1, 4)]
    assert planned[1] - planned[0] == pytest.approx(kept[1] - kept[0], rel=0.05)


def _small(sizes):
    return Workload(sizes, 10, 8, 128, 2, 256, micro_rows=2)


def _kept_bytes(sizes, lean):
    config = LlamaConfig(
        vocab_size=sizes.vocab_size,
        hidden_size=sizes.hidden_size,
        intermediate_size=sizes.intermediate_size,
        num_hidden_layers=sizes.num_layers,
        num_attention_heads=sizes.num_heads,
        num_key_value_heads=sizes.num_kv_heads,
    )
    base = LlamaForCausalLM._from_config(config, dtype=torch.bfloat16, attn_implementation="sdpa")
    model = CausalModel(base, NewRows(torch.zeros(10, sizes.hidden_size), torch.zeros(10, sizes.hidden_size)))
    model.add_lora(LoraSettings(8, 16), seed=0)
    if lean:
        model.make_lean()
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    ids, positions = torch.randint(0, 100, (2, 128)), torch.cat([torch.arange(64)] * 2).repeat(2, 1)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        hidden = model(ids, positions)
    assert hidden.requires_grad
    return sum(size for size, _ in kept.values())
