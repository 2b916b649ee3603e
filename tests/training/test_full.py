"""All rows, or all parameters, train: against PyTorch's own optimizer, resumed exactly, exported, and followed by LoRA."""

from __future__ import annotations

import dataclasses
import json
from itertools import pairwise

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from jp_adapt.core.errors import UsageError
from jp_adapt.corpus.pack import IGNORED
from jp_adapt.model import export
from jp_adapt.model.causal import WEIGHTS_FILE, CausalModel, load_base, load_causal, save_adapter
from jp_adapt.pipeline.run import run_recipe
from jp_adapt.recipe.load import load_recipe
from jp_adapt.training.optimizer import trainable_parameters
from tests.recipes import write_small_recipe
from tests.training.test_loop import SETTINGS, model_with_rows, run, small_plan, stop_after


def unfrozen(folder, *, body: bool, dtype: torch.dtype = torch.float32) -> CausalModel:
    model = model_with_rows(folder, lora=not body, dtype=dtype)
    model.unfreeze(body=body, embeddings=True)
    return model


@pytest.mark.parametrize("folder", ["pico", "pico_untied"])
def test_all_parameters_train_as_transformers_and_adamw_train_them(folder, request, tmp_path):
    base = request.getfixturevalue(folder)
    plan = small_plan(tokens=300)
    model = CausalModel(load_base(base, torch.float32))
    model.unfreeze(body=True, embeddings=True)
    settings = dataclasses.replace(SETTINGS, clip_norm=1e9, schedule="wsd", warmup_share=0.0, decay_share=1e-6, final_lr_share=1.0, lr=1e-3)
    losses = [metrics["loss_nats"] / metrics["num_targets"] for _, metrics in run(model, plan, tmp_path, settings)]

    theirs = AutoModelForCausalLM.from_pretrained(base, attn_implementation="eager")
    optimizer = torch.optim.AdamW(theirs.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.0)
    for step, ours in enumerate(losses):
        batch = plan.batch(step)
        ids, positions, targets = (torch.tensor(part) for part in (batch.ids, batch.positions, batch.targets))
        loss = sum(
            torch.nn.functional.cross_entropy(logits, target, reduction="sum", ignore_index=IGNORED)
            for logits, target in _documents(theirs, ids, positions, targets)
        )
        loss = loss / batch.num_targets
        assert ours == pytest.approx(loss.item(), rel=1e-5)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    kept = dict(model.base.named_parameters())
    for name, weight in theirs.named_parameters():
        torch.testing.assert_close(kept[name], weight, rtol=1e-4, atol=2e-5, msg=name)


def _documents(model, ids, positions, targets):
    """(logits, targets) of each document by itself."""
    for row in range(ids.shape[0]):
        starts = [*(positions[row] == 0).nonzero()[:, 0].tolist(), ids.shape[1]]
        for start, end in pairwise(starts):
            yield model(ids[row : row + 1, start:end]).logits[0], targets[row, start:end]


@pytest.mark.parametrize("body", [True, False])
def test_what_trains_resumes_bit_for_bit_and_what_is_frozen_stays(body, pico_untied, tmp_path):
    plan = small_plan(tokens=400)
    before = {name: weight.clone() for name, weight in load_base(pico_untied, torch.float32).named_parameters()}
    straight = unfrozen(pico_untied, body=body)
    run(straight, plan, tmp_path / "straight")
    stop_after(6, unfrozen(pico_untied, body=body), plan, tmp_path / "resumed")
    resumed = unfrozen(pico_untied, body=body)
    run(resumed, plan, tmp_path / "resumed")
    for name, parameter in trainable_parameters(straight).items():
        assert torch.equal(parameter, trainable_parameters(resumed)[name]), name
    for name, weight in straight.base.named_parameters():
        if ".lora_" not in name:
            plain = name.replace(".base_layer.", ".")
            assert torch.equal(weight, before[plain]) != (plain in straight.trained), name
    assert straight.trained == (set(before) if body else {"model.embed_tokens.weight", "lm_head.weight"})


@pytest.mark.parametrize("folder", ["pico", "pico_untied"])
@pytest.mark.parametrize("body", [True, False])
def test_the_export_computes_what_was_trained(folder, body, request, tmp_path):
    base = request.getfixturevalue(folder)
    model = unfrozen(base, body=body, dtype=torch.bfloat16)
    losses = [metrics["loss_nats"] / metrics["num_targets"] for _, metrics in run(model, small_plan(tokens=3000), tmp_path / "run")]
    assert sum(losses[-5:]) / 5 < losses[0] - 0.15
    assert all(parameter.dtype == torch.float32 for parameter in trainable_parameters(model).values())
    (tmp_path / "adapter").mkdir()
    save_adapter(model, tmp_path / "adapter", "hash")
    probe = [0, 5, 17, 3, 250, 499, 8, 503]
    assert export.export_model(base, tmp_path / "adapter", torch.bfloat16, tmp_path / "model", probe) < 1e-4
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    rows = torch.cat([model.base_row_parameters()["input"], model.new_input]).detach()
    assert torch.equal(plain.get_input_embeddings().weight, rows)
    with torch.inference_mode():
        ids = torch.tensor([probe])
        torch.testing.assert_close(plain.model(ids).last_hidden_state, model(ids).float(), rtol=0.1, atol=0.1)  # bfloat16 against float32


def test_lora_goes_on_from_trained_weights_and_keeps_them(pico, tmp_path):
    model = unfrozen(pico, body=True)
    run(model, small_plan(tokens=200), tmp_path / "run")
    save_adapter(model, tmp_path, "hash")
    again = load_causal(pico, torch.bfloat16, tmp_path)
    again.unfreeze(body=False, embeddings=False)
    assert again.trained == model.trained
    for name, weight in again.base.named_parameters():
        assert torch.equal(weight, dict(model.base.named_parameters())[name].to(torch.bfloat16)), name
    assert list(trainable_parameters(again)) == ["new_rows.input"]


def recipe_with(folder, base, line: str, **replaced: str):
    path = write_small_recipe(folder, base)
    text = path.read_text(encoding="utf-8").replace("    lora: {rank: 4, alpha: 8}\n", line)
    for old, new in replaced.items():
        text = text.replace(old, new)
    path.write_text(text[: text.index("  - id: eval")] if "  - id: eval" in text else text, encoding="utf-8")
    return path


def test_a_recipe_trains_all_parameters_from_rows_to_export(pico, tmp_path):
    path = recipe_with(tmp_path, pico, "    parameters: full\n    optimizer: {lr: 1.0e-4, old_rows_lr: 1.0e-5}\n")
    run_recipe(load_recipe(path), tmp_path / "run")
    stages = tmp_path / "run" / "stages"
    trained = load_file(stages / "cpt" / "final" / WEIGHTS_FILE)
    assert trained.keys() == load_file(pico / "model.safetensors").keys()
    assert all(not torch.equal(weight, trained[name]) for name, weight in load_file(pico / "model.safetensors").items())
    exported = load_file(stages / "model" / "final" / "model.safetensors")
    assert torch.equal(exported["model.layers.0.mlp.up_proj.weight"], trained["model.layers.0.mlp.up_proj.weight"])
    line = json.loads((stages / "cpt" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert {"grad_norm_body", "grad_norm_old_rows", "grad_norm_new_rows"} <= line.keys()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("    parameters: full\n    lora: {rank: 4}\n", r"small.yaml:\d+: 'parameters: full' trains all weights, without LoRA; take 'lora' out"),
        (
            "  - {id: more, kind: pretrain, start: cpt, data: [{source: ja}], budget: {tokens: 100}, parameters: full}\n",
            "'cpt' trained LoRA, which would stay beside the weights that train here",
        ),
    ],
)
def test_full_parameters_and_lora_exclude_each_other(line, message, pico, tmp_path):
    with pytest.raises(UsageError, match=message):
        load_recipe(recipe_with(tmp_path, pico, line))
