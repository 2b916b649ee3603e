"""`merge models` and `merge explain` of vision-language models."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoTokenizer

import jp_adapt
from jp_adapt.cli.main import main
from jp_adapt.commands.merge_explain import explain_model
from jp_adapt.commands.merge_record import MergeRecord
from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.pipeline.run import run_recipe
from jp_adapt.recipe.load import load_recipe
from tests.conftest import make_pico
from tests.merging.models import change_config, change_weights, extended, tuned, weights_of
from tests.seeing import CROSSING, IMAGE, SEEING, answer_with_picture, make_seeing

TEXTS = ("language_model.", "model.text_model.", "lm_head.")
MIX = """\
format: 1
name: mix
method: task_arithmetic
base: plain
models:
  plain: {{path: {plain}}}
  ja: {{path: {ja}, weight: 0.7}}
  vlm: {{path: {vlm}, weight: {weight}}}
"""


@pytest.fixture(scope="module")
def seeing(pico, tmp_path_factory):
    folder = tmp_path_factory.mktemp("seeing")
    made = {kind: make_seeing(kind, pico, folder / kind) for kind in SEEING}
    change_weights(made["llava"], lambda name, weight: weight.bfloat16() if name.startswith("vision_tower") else weight)
    return made


def merge(folder, text, out="out", **values):
    path = folder / "merge.yaml"
    path.write_text(text.format(**values), encoding="utf-8")
    return jp_adapt.merge_models(path, folder / out)


def others(weights):
    """What is outside of the language part; the layers of cross-attention in Mllama are."""
    crossing = {f".layers.{layer}." for name in weights for layer in CROSSING if f".layers.{layer}.cross_attn" in name}
    return {name: tensor for name, tensor in weights.items() if not name.startswith(TEXTS) or any(layer in name for layer in crossing)}


def plain_names(kind, weights):
    prefix = {"idefics3": "model.text_model.", "smolvlm": "model.text_model."}.get(kind, "language_model.model.")
    renamed = {}
    for name, tensor in weights.items():
        if name.startswith(prefix):
            renamed["model." + name.removeprefix(prefix)] = tensor
        elif name in ("lm_head.weight", "language_model.lm_head.weight"):
            renamed["lm_head.weight"] = tensor
    if kind != "mllama":
        return renamed
    crossing = tuple(f"model.layers.{layer}." for layer in CROSSING)
    return {name.replace("layers.2.", "layers.1."): tensor for name, tensor in renamed.items() if not name.startswith(crossing)}


@pytest.mark.parametrize("kind", SEEING)
def test_with_plain_models_the_language_part_alone_changes(kind, seeing, pico, ja, pico_untied, tmp_path):
    plain, other = (pico, ja) if kind != "mllama" else (pico_untied, tuned(pico_untied, tmp_path / "ja", 1))  # the head of a Mllama is not tied
    result = merge(tmp_path, MIX, plain=plain, ja=other, vlm=seeing[kind], weight=0.4)
    before, after, base, second = (weights_of(folder) for folder in (seeing[kind], result.folder, plain, other))
    assert after.keys() == before.keys()
    kept = others(before)
    assert len(kept) == result.record.tensors_kept > 30
    assert all(after[name].dtype == tensor.dtype and torch.equal(after[name], tensor) for name, tensor in kept.items())
    own, mixed = plain_names(kind, before), plain_names(kind, after)
    assert own.keys() == base.keys()
    for name, tensor in base.items():
        rows = len(tensor)
        assert torch.allclose(mixed[name][:rows], tensor + 0.7 * (second[name] - tensor) + 0.4 * (own[name][:rows] - tensor), atol=1e-6), name
        assert torch.equal(mixed[name][rows:], own[name][rows:])
    assert len(answer_with_picture(result.folder, kind)) == 4
    record = MergeRecord.read(result.folder / "merge.json")
    assert (record.into, record.config, record.tokenizer, record.layers) == ("vlm", "vlm", "vlm", 2)
    assert AutoTokenizer.from_pretrained(result.folder).convert_tokens_to_ids(IMAGE) == 500
    assert (result.folder / "preprocessor_config.json").read_bytes() == (seeing[kind] / "preprocessor_config.json").read_bytes()
    assert "pipeline_tag: image-text-to-text" in (result.folder / "README.md").read_text(encoding="utf-8")


TWO = """\
format: 1
name: two
method: ties
base: first
into: {into}
models:
  first: {{path: {first}}}
  second: {{path: {second}, weight: 1, density: {density}}}
"""


@pytest.mark.parametrize("kind", ["llava_next", "idefics3", "mllama"])
def test_two_that_see(kind, seeing, pico, tmp_path):
    second = make_seeing(kind, pico, tmp_path / "second", seed=1)
    first, other = weights_of(seeing[kind]), weights_of(second)
    into_second = weights_of(merge(tmp_path, TWO, "second-kept", first=seeing[kind], second=second, into="second", density=1).folder)
    assert all(torch.equal(tensor, other[name]) for name, tensor in into_second.items())  # one model at density 1 is all of it
    half = weights_of(merge(tmp_path, TWO, "first-kept", first=seeing[kind], second=second, into="first", density=0.5).folder)
    changed = {name for name, tensor in half.items() if not torch.equal(tensor, first[name])}
    assert changed
    assert not changed & others(first).keys()
    assert len(answer_with_picture(tmp_path / "first-kept", kind)) == 4


def test_copies_give_it_back_to_the_bit(seeing, tmp_path):
    merged = weights_of(merge(tmp_path, TWO, first=seeing["llava"], second=seeing["llava"], into="first", density=0.5).folder)
    assert all(torch.equal(tensor, merged[name]) for name, tensor in weights_of(seeing["llava"]).items())


def test_an_untied_model_unties_the_head(seeing, pico_untied, tmp_path):
    text = MIX.replace("  ja: {{path: {ja}, weight: 0.7}}\n", "")
    folder = merge(tmp_path, text, plain=pico_untied, vlm=seeing["idefics3"], weight=0.5).folder
    assert "lm_head.weight" in weights_of(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert config["tie_word_embeddings"] is config["text_config"]["tie_word_embeddings"] is False
    assert len(answer_with_picture(folder, "idefics3")) == 4


def test_japanese_tokens_of_the_other_model_and_the_image_of_this_one(seeing, pico, tmp_path):
    """No tokenizer holds both, so that one is to be chosen; without the image's token nothing could be seen."""
    longer = extended(pico, tmp_path / "longer", 3)
    text = MIX.replace("  ja: {{path: {ja}, weight: 0.7}}\n", "")
    with pytest.raises(InputError, match="no tokenizer holds the tokens of all models"):
        merge(tmp_path, text, plain=longer, vlm=seeing["llava"], weight=0.5)
    with pytest.raises(InputError, match="'vlm': image_token_index is 500, a token that the merged vocabulary does not have; keep the tokenizer of this model"):
        merge(tmp_path, text + "tokenizer: plain\n", plain=longer, vlm=seeing["llava"], weight=0.5)
    folder = merge(tmp_path, text + "tokenizer: vlm\n", plain=longer, vlm=seeing["llava"], weight=0.5).folder
    assert len(answer_with_picture(folder, "llava")) == 4


@pytest.fixture(scope="module")
def bunny(ja, tmp_path_factory):
    """Plain names beside a tower of its own."""
    folder = tuned(ja, tmp_path_factory.mktemp("seeing") / "bunny", 5)
    change_config(folder, model_type="bunny-llama")
    tower = {"model.vision_tower.encoder.layers.0.mlp.fc1.weight": torch.ones(2, 2), "model.mm_projector.0.weight": torch.ones(2)}
    save_file({name: tensor.contiguous() for name, tensor in (weights_of(folder) | tower).items()}, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_a_parent_whose_code_transformers_lacks(bunny, seeing, pico, tmp_path):
    after = weights_of(merge(tmp_path, MIX, plain=pico, ja=bunny, vlm=seeing["llava"], weight=0).folder)
    base, own = weights_of(pico), weights_of(bunny)
    name = "model.layers.1.mlp.up_proj.weight"
    assert torch.allclose(after["language_model." + name], base[name] + 0.7 * (own[name] - base[name]), atol=1e-6)
    assert not any("mm_projector" in name for name in after)
    with pytest.raises(InputError, match="into: 'ja' is no vision-language model that transformers has the code of; vlm can be"):
        merge(tmp_path, MIX + "into: ja\n", "no", plain=pico, ja=bunny, vlm=seeing["llava"], weight=0)
    alone = MIX.replace("  vlm: {{path: {vlm}, weight: {weight}}}\n", "")
    assert weights_of(merge(tmp_path, alone, "plain", plain=pico, ja=bunny).folder).keys() == base.keys()


def test_the_shipped_recipe_runs_on_small_models_of_its_kinds(bunny, seeing, pico, ja, tmp_path):
    folders = {"mantis": seeing["llava"], "elyza": ja, "bunny": bunny}
    overrides = [f"base.path={pico}", *(f"stages.merged.models.{name}.path={folder}" for name, folder in folders.items())]
    run_recipe(load_recipe("sakana-llama3-evovlm-jp-v2", overrides), tmp_path / "run")
    folder = tmp_path / "run" / "stages" / "merged" / "final"
    before, after = weights_of(seeing["llava"]), weights_of(folder)
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in others(before).items())
    assert len(answer_with_picture(folder, "llava")) == 4


@pytest.mark.parametrize(
    ("more", "kind", "error", "message"),
    [
        ("into: plain\n", "llava", InputError, "into: 'plain' is no vision-language model that transformers has the code of; vlm can be"),
        ("into: vml\n", "llava", UsageError, "into is 'vml'.*did you mean 'vlm'"),
        ("config: plain\n", "llava", InputError, "config: 'plain', but 'vlm' keeps its own configuration around the merged language part"),
        (
            "slices: [{{models: {{plain: {{layers: [0, 1]}}, ja: {{layers: [0, 1]}}, vlm: {{layers: [0, 1]}}}}}}]\n",
            "mllama",
            InputError,
            "cross-attention between",
        ),
    ],
)
def test_what_cannot_be_put_together_is_refused(more, kind, error, message, seeing, pico, ja, tmp_path):
    with pytest.raises(error, match=message):
        merge(tmp_path, MIX + more, plain=pico, ja=ja, vlm=seeing[kind], weight=0.5)
    assert not (tmp_path / "out").exists()


def test_fewer_layers_of_one_that_sees(seeing, tmp_path):
    text = "format: 1\nname: short\nmethod: passthrough\nmodels: {{vlm: {{path: {vlm}}}}}\nslices: [{{models: {{vlm: {{layers: [1, 2]}}}}}}]\n"
    folder = merge(tmp_path, text, vlm=seeing["smolvlm"]).folder
    before, after = weights_of(seeing["smolvlm"]), weights_of(folder)
    name = "model.text_model.layers.{}.mlp.up_proj.weight"
    assert torch.equal(after[name.format(0)], before[name.format(1)])
    assert name.format(1) not in after
    assert len(answer_with_picture(folder, "smolvlm")) == 4


def test_without_tokenizers_rows_must_be_equal(seeing, pico, ja, tmp_path):
    bare = {
        name: shutil.copytree(folder, tmp_path / name, ignore=shutil.ignore_patterns("tokenizer*")) for name, folder in (("p", pico), ("v", seeing["llava"]))
    }
    with pytest.raises(InputError, match="'plain' has 500 rows and 'vlm' 502, and no folder has a tokenizer that says which is which"):
        merge(tmp_path, MIX.replace("  ja: {{path: {ja}, weight: 0.7}}\n", ""), plain=bare["p"], vlm=bare["v"], weight=0.5)


def test_explain_finds_the_parents_of_a_language_part(seeing, pico, ja, math, tmp_path, capsys):
    folder = merge(tmp_path, MIX, plain=pico, ja=ja, vlm=seeing["llava_next"], weight=0.25).folder
    parents = {"plain": pico, "ja": ja, "math": math, "vlm": seeing["llava_next"]}
    explanation = explain_model(folder, parents)
    assert explanation.parents == ["plain", "ja", "vlm"]
    assert {name: round(value, 3) for name, value in explanation.whole.coefficients.items()} == {"plain": 0.05, "ja": 0.7, "vlm": 0.25}
    assert explanation.left_out == ["model.embed_tokens.weight"]
    assert main(["merge", "explain", str(folder), "--parents", *(f"{name}={path}" for name, path in parents.items()), "--base", "plain"]) == 0
    assert "as task arithmetic on 'plain': weights ja 0.7000, vlm 0.2500" in capsys.readouterr().out


def test_another_size_is_refused(seeing, ja, pico, tmp_path):
    wide = make_pico(tmp_path / "wide", hidden_size=64)
    with pytest.raises(InputError, match=r"the models compute differently|take models of one size"):
        merge(tmp_path, MIX, plain=wide, ja=ja, vlm=seeing["llava"], weight=0.5)
