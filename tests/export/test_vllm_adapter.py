"""An adapter for vLLM: what peft loads from it computes what was trained, and what vLLM could not serve is refused."""

from __future__ import annotations

import json

import pytest
import torch
from peft import PeftModel
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

from jp_adapt.cli.main import main
from jp_adapt.core.errors import InputError
from jp_adapt.export.vllm_adapter import export_vllm_adapter
from jp_adapt.model.causal import CausalModel, load_base, save_adapter
from jp_adapt.model.lora import LoraSettings, lora_parameters


def adapter(pico, folder, **settings):
    model = CausalModel(load_base(pico, torch.float32))
    model.add_lora(LoraSettings(**{"rank": 4, "alpha": 8.0, "rslora": False} | settings), seed=0)
    generator = torch.Generator().manual_seed(0)
    for parameter in lora_parameters(model.body).values():
        parameter.data = 0.1 * torch.randn(parameter.shape, generator=generator)
    folder.mkdir()
    save_adapter(model, folder, "0" * 64)
    return model


def test_peft_computes_what_was_trained(pico, tmp_path, capsys):
    model = adapter(pico, tmp_path / "adapter")
    out = tmp_path / "served"
    assert main(["export", "vllm-adapter", str(tmp_path / "adapter"), "--base", str(pico), "--out", str(out)]) == 0
    command = capsys.readouterr().out.split()
    assert command == ["vllm", "serve", str(pico), "--enable-lora", "--max-lora-rank", "8", "--lora-modules", f"served={out}"]
    assert json.loads((out / "adapter_config.json").read_text(encoding="utf-8"))["base_model_name_or_path"] == str(pico)
    ids = torch.arange(1, 40)[None]
    theirs = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(pico, dtype=torch.float32), out)
    with torch.inference_mode():
        ours = model.logits(model(ids)[0])
        assert torch.allclose(theirs(input_ids=ids).logits[0], ours, atol=1e-4)
        assert not torch.allclose(AutoModelForCausalLM.from_pretrained(pico, dtype=torch.float32)(input_ids=ids).logits[0], ours, atol=1e-2)


@pytest.mark.parametrize(
    ("settings", "file", "message"),
    [
        ({}, "new_rows.safetensors", "has new rows, and vLLM serves an adapter with the base's vocabulary only; merge it"),
        ({}, "trained_weights.safetensors", "trained weights of the base itself, and vLLM serves LoRA only"),
        ({"dora": True}, None, "is DoRA, which vLLM does not serve"),
        ({"rank": 600}, None, "has rank 600, and vLLM serves up to 512"),
    ],
)
def test_what_vllm_cannot_serve_is_refused(pico, tmp_path, settings, file, message):
    adapter(pico, tmp_path / "adapter", **settings)
    if file is not None:
        save_file({"x": torch.zeros(1)}, tmp_path / "adapter" / file, metadata={"tokenizer_sha256": "0" * 64})
    with pytest.raises(InputError, match=message):
        export_vllm_adapter(tmp_path / "adapter", pico, tmp_path / "out")
    assert not (tmp_path / "out").exists()
