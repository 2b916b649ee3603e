"""A base that sees, from the recipe to the exported model: vocabulary and language part change, and nothing else does."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText, AutoTokenizer

from jp_adapt.core.errors import InputError
from jp_adapt.export.adapter import merge_adapter
from jp_adapt.export.gguf_source import read_source
from jp_adapt.model.architectures import from_folder
from jp_adapt.model.causal import load_causal
from jp_adapt.pipeline.run import run_recipe
from jp_adapt.recipe.load import load_recipe
from tests.recipes import write_small_recipe
from tests.seeing import IMAGE, answer_with_picture, make_seeing

LANGUAGE = ("language_model.", "model.text_model.", "lm_head.")


@pytest.mark.parametrize(("kind", "tied", "trains"), [("llava_next", True, "lora: {rank: 4, alpha: 8}"), ("smolvlm", False, "parameters: full")])
def test_it_is_extended_adapted_and_exported(kind, tied, trains, pico, tmp_path):
    base = make_seeing(kind, pico, tmp_path / "base", tied=tied)
    recipe = write_small_recipe(tmp_path / "recipe", base)
    text = recipe.read_text(encoding="utf-8")
    text = text[: text.index("  - id: eval")].replace("new_tokens: 60", "new_tokens: 30").replace("lora: {rank: 4, alpha: 8}", trains)
    recipe.write_text(text, encoding="utf-8")
    settings = ["stages.rows.budget.tokens=500", "stages.rows.init=mean", "stages.cpt.budget.tokens=500"]
    run_recipe(load_recipe(recipe, settings), tmp_path / "run")
    stages = tmp_path / "run" / "stages"
    final = stages / "model" / "final"
    old, new = load_file(base / "model.safetensors"), load_file(final / "model.safetensors")
    assert old.keys() == new.keys()
    seeing = [name for name in old if not name.startswith(LANGUAGE)]
    assert len(seeing) > 30
    assert all(torch.equal(new[name], old[name]) for name in seeing)
    embedding = next(name for name in old if name.endswith("embed_tokens.weight"))
    first = len(old[embedding])
    assert new[embedding].shape[0] == first + 30
    assert torch.equal(new[embedding][:first], old[embedding]) == trains.startswith("lora")
    changed = [name for name in old if name not in seeing and name != embedding and not torch.equal(new[name], old[name])]
    assert len(changed) >= 2 * 7, "all linear layers of both layers"
    assert not any("vision" in name for name in changed)
    config = json.loads((final / "config.json").read_text(encoding="utf-8"))
    assert config["text_config"]["vocab_size"] == first + 30
    assert (final / "preprocessor_config.json").is_file()
    assert "pipeline_tag: image-text-to-text" in (final / "README.md").read_text(encoding="utf-8")
    tokenizer = AutoTokenizer.from_pretrained(final)
    assert tokenizer.convert_tokens_to_ids(IMAGE) == 500
    ids = tokenizer("今日は雨です。", return_tensors="pt").input_ids
    assert ids.max() >= first
    attached = load_causal(base, torch.float32, stages / "cpt" / "final")
    whole = AutoModelForImageTextToText.from_pretrained(final)
    with torch.inference_mode():
        assert torch.allclose(whole(input_ids=ids).logits[0], attached.logits(attached(ids)[0]), atol=1e-4)
    assert len(answer_with_picture(final, kind)) == 4
    merge_adapter(stages / "cpt" / "final", base, tmp_path / "again", tokenizer=stages / "tok" / "final")
    again = load_file(tmp_path / "again" / "model.safetensors")
    assert all(torch.equal(again[name], tensor) for name, tensor in new.items())


def test_its_sizes_are_those_of_its_language_part(pico, tmp_path):
    folder = make_seeing("mllama", pico, tmp_path / "mllama")
    sizes = from_folder(folder)
    assert (sizes.num_layers, sizes.hidden_size, sizes.vocab_size, sizes.tied) == (2, 32, 500, False)


def test_no_gguf_of_half_a_model(pico, tmp_path):
    folder = make_seeing("llava", pico, tmp_path / "llava")
    with pytest.raises(InputError, match="a vision-language model; a GGUF file of its language part alone is not written here"):
        read_source(folder)
