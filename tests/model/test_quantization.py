"""QLoRA: a base in 4-bit NormalFloat, on the CPU backend of bitsandbytes."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from jp_adapt.core.errors import UsageError
from jp_adapt.export.adapter import merge_adapter
from jp_adapt.model import causal
from jp_adapt.model.architectures import from_folder
from jp_adapt.model.causal import load_base
from jp_adapt.model.plan import NF4_BYTES
from jp_adapt.pipeline.run import run_recipe
from jp_adapt.recipe.load import load_recipe
from tests.conftest import make_pico
from tests.recipes import write_small_recipe

bitsandbytes = pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed: pip install 'jp-adapt[qlora]' (dev installs it on Linux)")


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A small model with rows of at least one block of 64 weights: bitsandbytes 0.50 reads shorter rows wrongly on a CPU with AVX512."""
    return make_pico(tmp_path_factory.mktemp("wide") / "untied", tied=False, hidden_size=64)


@pytest.fixture(scope="module")
def recipe(wide, tmp_path_factory):
    path = write_small_recipe(tmp_path_factory.mktemp("recipe"), wide)
    text = path.read_text(encoding="utf-8").replace("precision: float32", "precision: bfloat16\nquantization: nf4").replace("tokens: 2500", "tokens: 1000")
    path.write_text(text[: text.index("  - id: eval")], encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(recipe, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "run"
    run_recipe(load_recipe(recipe), out)
    return out / "stages"


def test_the_export_is_the_base_in_4_bits_with_lora_merged(run, wide):
    base = load_base(wide, torch.bfloat16, quantization="nf4")
    layer = base.model.layers[1].mlp.up_proj
    assert layer.weight.dtype == torch.uint8
    rounded = bitsandbytes.functional.dequantize_4bit(layer.weight, layer.weight.quant_state).float()
    plain = load_file(wide / "model.safetensors")["model.layers.1.mlp.up_proj.weight"]
    assert 0.05 < float((rounded - plain).norm() / plain.norm()) < 0.2
    lora = load_file(run / "cpt" / "final" / "adapter_model.safetensors")
    down, up = (lora[f"base_model.model.model.layers.1.mlp.up_proj.lora_{name}.weight"] for name in "AB")
    exported = load_file(run / "model" / "final" / "model.safetensors")["model.layers.1.mlp.up_proj.weight"]
    torch.testing.assert_close(exported, rounded + 2.0 * (up @ down), rtol=0, atol=1e-6)
    assert up.abs().max() > 0
    assert "quantization_config" not in json.loads((run / "model" / "final" / "config.json").read_text(encoding="utf-8"))


def test_merge_takes_the_base_as_it_trained(run, wide, tmp_path):
    merge_adapter(run / "cpt" / "final", wide, tmp_path / "merged")
    ours, theirs = load_file(tmp_path / "merged" / "model.safetensors"), load_file(run / "model" / "final" / "model.safetensors")
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    AutoModelForCausalLM.from_pretrained(tmp_path / "merged")


def test_a_quantized_model_computes_what_its_dequantized_one_does(wide):
    model = causal.CausalModel(load_base(wide, torch.float32, quantization="nf4"))
    plain = causal.CausalModel(load_base(wide, torch.float32, quantization="nf4").dequantize())
    ids = torch.tensor([[0, 5, 17, 3, 250]])
    with torch.inference_mode():
        torch.testing.assert_close(model(ids), plain(ids), rtol=1e-4, atol=1e-4)
    assert model.quantized
    assert not plain.quantized


def test_the_plan_counts_the_bytes_of_4_bits(tmp_path):
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(vocab_size=64, hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2)
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    base = load_base(tmp_path, torch.bfloat16, quantization="nf4")
    layers = [module.weight for module in base.modules() if isinstance(module, bitsandbytes.nn.Linear4bit)]
    constants = sum(w.quant_state.absmax.nbytes + w.quant_state.state2.absmax.nbytes for w in layers)
    planned = from_folder(tmp_path).linear_parameters * NF4_BYTES
    assert planned == pytest.approx(sum(weight.nbytes for weight in layers) + constants, rel=0.01)


def test_without_bitsandbytes_one_line_says_so(wide, monkeypatch):
    monkeypatch.setattr("jp_adapt.core.extras.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"quantization nf4: bitsandbytes is not installed; pip install 'jp-adapt\[qlora\]'"):
        load_base(wide, torch.float32, quantization="nf4")


def test_what_4_bits_cannot_do_is_said(recipe):
    with pytest.raises(UsageError) as error:
        load_recipe(recipe, ["distributed=fsdp", "stages.cpt.parameters=full"])
    assert "weights in 4 bits are not sharded here" in str(error.value)
    assert "weights in 4 bits cannot train" in str(error.value)


def test_frozen_bytes_stay_bytes(pico):
    model = causal.CausalModel(load_base(pico, torch.bfloat16, quantization="nf4"))
    before = {name: parameter.clone() for name, parameter in model.base.named_parameters()}
    model.unfreeze(body=False, embeddings=True)
    assert model.trained == {"model.embed_tokens.weight"}
    for name, parameter in model.base.named_parameters():
        assert torch.equal(parameter.float(), before[name].float()), name
