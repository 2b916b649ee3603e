"""LoRA adapters in merges: dense, tensor by tensor, and in their own space."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

import jp_adapt
from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.core.hashes import sha256_file
from jp_adapt.model.causal import CausalModel, NewRows, load_base, save_adapter
from jp_adapt.model.lora import LoraSettings, lora_parameters
from jp_adapt.tokenizer.save import copy_tokenizer
from tests.merging.models import extended, weights_of


def adapter(base, folder, seed, *, settings=None, tokenizer=None):
    """An adapter of ours with LoRA (and new rows, where the tokenizer is an extended one) away from where they begin."""
    folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(seed)
    plain = load_base(base, torch.float32)
    new = 0 if tokenizer is None else len(weights_of(tokenizer)["model.embed_tokens.weight"]) - plain.config.vocab_size
    rows = [torch.randn(new, 32, generator=generator) for _ in range(2)]
    model = CausalModel(plain, NewRows(rows[0], None if plain.config.tie_word_embeddings else rows[1]) if new else None)
    model.add_lora(settings or LoraSettings(4, 8.0), seed=seed)
    for parameter in lora_parameters(model.body).values():
        parameter.data = torch.randn(parameter.shape, generator=generator).abs() * 0.1
    source = tokenizer or base
    save_adapter(model, folder, sha256_file(source / "tokenizer.json"))
    copy_tokenizer(source, folder)
    return folder


def merge(folder, text, out="out", **changes):
    path = folder / "merge.yaml"
    path.write_text("format: 1\nname: merged\n" + text.format(**changes), encoding="utf-8")
    return jp_adapt.merge_models(path, folder / out)


def exported(folder, base, out):
    jp_adapt.merge_adapter(folder, base, out)
    return weights_of(out)


TWO = """\
method: task_arithmetic
base: base
models:
  base: {{path: {base}}}
  a: {{adapter: {a}, weight: 0.7}}
  b: {{adapter: {b}, weight: [{{module: mlp, value: 0.2}}, {{value: 0.5}}]}}
"""
KINDS = {"plain": LoraSettings(4, 8.0), "rslora": LoraSettings(6, 8.0, rslora=True), "some": LoraSettings(2, 4.0, targets=("q_proj", "down_proj"))}


@pytest.mark.parametrize("settings", [*KINDS.values(), LoraSettings(4, 8.0, dora=True)], ids=[*KINDS, "dora"])
def test_an_adapter_is_the_model_that_it_exports_to(settings, pico_untied, tmp_path):
    folder = adapter(pico_untied, tmp_path / "a", 1, settings=settings)
    text = "method: linear\nmodels:\n  a: {{path: {base}, adapter: {a}, weight: 1}}\ndtype: float32\n"
    merged = weights_of(merge(tmp_path, text, base=pico_untied, a=folder).folder)
    expected = exported(folder, pico_untied, tmp_path / "exported")
    assert all(torch.allclose(merged[name], weight, rtol=1e-6, atol=1e-7) for name, weight in expected.items())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("folder", ["pico", "pico_untied"])
def test_adapters_merged_in_their_own_space_are_the_dense_merge(kind, folder, request, tmp_path):
    base = request.getfixturevalue(folder)
    a, b = adapter(base, tmp_path / "a", 1), adapter(base, tmp_path / "b", 2, settings=KINDS[kind])
    dense = weights_of(merge(tmp_path, TWO, "dense", base=base, a=a, b=b).folder)
    small = merge(tmp_path, TWO + "write: adapter\n", "small", base=base, a=a, b=b)
    expected = weights_of(base)
    assert any(not torch.allclose(dense[name], weight, atol=1e-3) for name, weight in expected.items())
    again = exported(small.folder, base, tmp_path / "again")
    assert all(torch.allclose(again[name], weight, rtol=1e-5, atol=1e-6) for name, weight in dense.items())
    assert small.record.rank == 4 + KINDS[kind].rank
    assert not (small.folder / "model.safetensors").exists()


@pytest.mark.parametrize("normalize", ["false", "true"])
def test_an_adapter_can_be_taken_away(normalize, pico, tmp_path):
    """Task arithmetic with a weight below 0, as for unlearning."""
    a, b = adapter(pico, tmp_path / "a", 1), adapter(pico, tmp_path / "b", 2)
    text = TWO.replace("[{{module: mlp, value: 0.2}}, {{value: 0.5}}]", "-0.4") + f"normalize: {normalize}\nlambda: 0.9\n"
    dense = weights_of(merge(tmp_path, text, "dense", base=pico, a=a, b=b).folder)
    small = merge(tmp_path, text + "write: adapter\n", "small", base=pico, a=a, b=b)
    again = exported(small.folder, pico, tmp_path / "again")
    assert all(torch.allclose(again[name], weight, rtol=1e-5, atol=1e-6) for name, weight in dense.items())


def test_peft_loads_the_merged_adapter(pico, tmp_path):
    a, b = adapter(pico, tmp_path / "a", 1), adapter(pico, tmp_path / "b", 2)
    dense = merge(tmp_path, TWO, "dense", base=pico, a=a, b=b).folder
    small = merge(tmp_path, TWO + "write: adapter\n", "small", base=pico, a=a, b=b).folder
    theirs = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(pico), small)
    ids = torch.tensor([[0, 5, 17, 3, 250, 499]])
    with torch.inference_mode():
        torch.testing.assert_close(theirs(input_ids=ids).logits, AutoModelForCausalLM.from_pretrained(dense)(input_ids=ids).logits, rtol=1e-4, atol=1e-5)


def test_an_adapter_that_peft_wrote(pico, tmp_path):
    torch.manual_seed(1)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(pico), LoraConfig(r=3, lora_alpha=6, target_modules="all-linear", init_lora_weights=False))
    model.save_pretrained(tmp_path / "peft")
    expected = model.merge_and_unload().state_dict()
    text = "method: linear\nmodels:\n  a: {{path: {base}, adapter: {a}, weight: 1}}\n"
    merged = weights_of(merge(tmp_path, text, base=pico, a=tmp_path / "peft").folder)
    assert all(torch.allclose(weight, expected[name], rtol=1e-6, atol=1e-7) for name, weight in merged.items())


@pytest.mark.parametrize("method", ["task_arithmetic", "linear"])
def test_new_rows_of_adapters(method, pico_untied, tmp_path):
    tokenizer = extended(pico_untied, tmp_path / "tokenizer", 1)
    a, b = (adapter(pico_untied, tmp_path / name, seed, tokenizer=tokenizer) for seed, name in ((1, "a"), (2, "b")))
    text = TWO.replace("[{{module: mlp, value: 0.2}}, {{value: 0.5}}]", "0.3")
    if method == "linear":
        text = "method: linear\nmodels:\n  a: {{path: {base}, adapter: {a}, weight: 0.7}}\n  b: {{path: {base}, adapter: {b}, weight: 0.3}}\n"
    dense = weights_of(merge(tmp_path, text, "dense", base=pico_untied, a=a, b=b).folder)
    small = merge(tmp_path, text + "write: adapter\n", "small", base=pico_untied, a=a, b=b)
    again = exported(small.folder, pico_untied, tmp_path / "again")
    assert len(dense["lm_head.weight"]) > 500
    assert all(torch.allclose(again[name], weight, rtol=1e-5, atol=1e-6) for name, weight in dense.items())


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            ("method: task_arithmetic", "method: ties"),
            UsageError,
            r"merge.yaml:\d+: write: adapter needs a method that adds whole matrices \(linear, task_arith",
        ),
        (("{{adapter: {a}, ", "{{path: {base}, "), InputError, "write: adapter merges adapters, and 'a' is a whole model; write: model merges them"),
    ],
)
def test_what_a_small_merge_cannot_do(change, error, message, pico, tmp_path):
    a, b = adapter(pico, tmp_path / "a", 1), adapter(pico, tmp_path / "b", 2)
    with pytest.raises(error, match=message):
        merge(tmp_path, TWO.replace(*change) + "write: adapter\n", base=pico, a=a, b=b)
    assert not (tmp_path / "out").exists()


def test_dora_and_foreign_adapters_are_refused(pico, tmp_path):
    a, b = adapter(pico, tmp_path / "a", 1), adapter(pico, tmp_path / "b", 2, settings=LoraSettings(4, 8.0, dora=True))
    with pytest.raises(InputError, match="'b' is a DoRA, whose norms do not add up; write: model merges them all the same"):
        merge(tmp_path, TWO + "write: adapter\n", base=pico, a=a, b=b)
    config = json.loads((a / "adapter_config.json").read_text())
    (a / "adapter_config.json").write_text(json.dumps(config | {"rank_pattern": {"q_proj": 8}}))
    with pytest.raises(InputError, match=r"sets rank_pattern, which is not merged here; merge it into its base with peft first"):
        merge(tmp_path, TWO, base=pico, a=a, b=b)
    (a / "adapter_config.json").write_text(json.dumps(config | {"peft_type": "LOHA"}))
    with pytest.raises(InputError, match=r"an adapter of type LOHA; only LoRA merges"):
        merge(tmp_path, TWO, base=pico, a=a, b=b)


def test_the_adapter_of_another_base_is_refused(pico, tmp_path):
    a, b = adapter(pico, tmp_path / "a", 1), adapter(pico, tmp_path / "b", 2)
    shallow = tmp_path / "shallow"
    shutil.copytree(pico, shallow)
    weights = {name: weight for name, weight in weights_of(pico).items() if "layers.1." not in name}
    save_file(weights, shallow / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"'a': .* changes model.layers.1.mlp.down_proj.weight, which .*shallow does not have; this is the adapter of another"):
        merge(tmp_path, TWO, base=shallow, a=a, b=b)
    (b / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(InputError, match=r"trained with a tokenizer.json of SHA-256 [0-9a-f]{12}\.\.\., and none lies in .*; put it beside the adapter"):
        merge(tmp_path, TWO, base=extended(pico, tmp_path / "other", 3), a=a, b=b)
