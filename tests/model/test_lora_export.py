"""LoRA layers, adapters and export against peft and transformers."""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from jp_adapt.core.errors import GateError
from jp_adapt.model import export
from jp_adapt.model.causal import CausalModel, NewRows, load_base, load_causal, save_adapter
from jp_adapt.model.lora import LoraSettings, lora_parameters

PROBE = [0, 5, 17, 3, 250, 499, 8, 1]


def trained(folder, *, new_rows: int = 7, rslora: bool = False) -> CausalModel:
    """A model with LoRA and new rows that differ from where they begin, as after training."""
    base = load_base(folder, torch.float32)
    generator = torch.Generator().manual_seed(3)
    tied = base.config.tie_word_embeddings
    rows = NewRows(torch.randn(new_rows, 32, generator=generator), None if tied else torch.randn(new_rows, 32, generator=generator))
    model = CausalModel(base, rows)
    model.add_lora(LoraSettings(4, 8.0, rslora), seed=1)
    for parameter in lora_parameters(model.body).values():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.1
    return model


def test_lean_forward_equals_pefts(pico):
    model = trained(pico)
    config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    peft_model = get_peft_model(AutoModelForCausalLM.from_pretrained(pico), config)
    ours = lora_parameters(model.body)
    for name, parameter in peft_model.named_parameters():
        if ".lora_" in name:
            parameter.data = ours[name.removeprefix("base_model.model.model.").replace(".default.", ".")].data
    ids = torch.tensor([PROBE])
    with torch.inference_mode():
        torch.testing.assert_close(model(ids), peft_model.base_model.model.model(ids).last_hidden_state, rtol=1e-5, atol=1e-5)


def test_every_linear_layer_has_lora_and_only_new_rows_and_lora_train(pico):
    model = trained(pico)
    layers = {name.rsplit(".lora_", 1)[0] for name in lora_parameters(model.body)}
    assert len(layers) == 2 * 7
    assert {name for name, parameter in model.named_parameters() if parameter.requires_grad} == {
        "new_input",
        "embedding.new",
        *(name for name, _ in model.named_parameters() if ".lora_" in name),
    } - {"embedding.new"}


@pytest.mark.parametrize("rslora", [False, True])
def test_adapter_loads_in_plain_peft(pico, tmp_path, rslora):
    model = trained(pico, rslora=rslora)
    save_adapter(model, tmp_path, "hash")
    theirs = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(pico), tmp_path)
    ids = torch.tensor([PROBE])
    with torch.inference_mode():
        torch.testing.assert_close(theirs.base_model.model.model(ids).last_hidden_state, model(ids), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("folder", ["pico", "pico_untied"])
def test_adapter_round_trip_and_export(folder, request, tmp_path):
    base = request.getfixturevalue(folder)
    model = trained(base)
    save_adapter(model, tmp_path, "hash")
    ids = torch.tensor([[*PROBE, 503]])
    again = load_causal(base, torch.float32, tmp_path)
    with torch.inference_mode():
        assert torch.equal(model(ids), again(ids))
    out = tmp_path / "model"
    difference = export.export_model(base, tmp_path, torch.float32, out, [*PROBE, 503])
    assert difference < 1e-4
    plain = AutoModelForCausalLM.from_pretrained(out)
    assert plain.config.vocab_size == 507
    assert (plain.lm_head.weight.data_ptr() == plain.model.embed_tokens.weight.data_ptr()) == (folder == "pico")
    before = load_base(base, torch.float32)
    assert torch.equal(plain.model.embed_tokens.weight[:500], before.model.embed_tokens.weight)
    assert torch.equal(plain.lm_head.weight[:500], before.lm_head.weight)
    assert torch.equal(plain.model.embed_tokens.weight[500:], model.new_input.detach())
    assert torch.equal(plain.lm_head.weight[500:], model.new_output.detach())


def test_export_in_bfloat16_is_the_merged_model_rounded(pico, tmp_path):
    save_adapter(trained(pico), tmp_path, "hash")
    export.export_model(pico, tmp_path, torch.float32, tmp_path / "wide", PROBE)
    export.export_model(pico, tmp_path, torch.float32, tmp_path / "narrow", PROBE, dtype="bfloat16")
    wide, narrow = (load_file(tmp_path / name / "model.safetensors") for name in ("wide", "narrow"))
    assert all(torch.equal(narrow[name], weight.to(torch.bfloat16)) for name, weight in wide.items())


def test_export_refuses_a_merge_that_computes_something_else(pico, tmp_path, monkeypatch):
    save_adapter(trained(pico), tmp_path, "hash")
    real = export.merge_lora

    def wrong(body):
        real(body)
        body.layers[0].mlp.up_proj.weight.data += 0.1

    monkeypatch.setattr(export, "merge_lora", wrong)
    with pytest.raises(GateError, match="merged and attached logits differ"):
        export.export_model(pico, tmp_path, torch.float32, tmp_path / "model", PROBE)
