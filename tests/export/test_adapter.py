"""`export adapter` and `open_run`: an adapter becomes a plain model, and a run can be read from Python."""

from __future__ import annotations

import json

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

import jp_adapt
from jp_adapt.cli.main import main
from jp_adapt.core.errors import InputError
from jp_adapt.recipe.load import load_recipe
from tests.recipes import write_small_recipe


@pytest.fixture(scope="module")
def run(pico, tmp_path_factory):
    """A run up to the exported model, with DoRA on two kinds of layers."""
    folder = tmp_path_factory.mktemp("merge")
    recipe = write_small_recipe(folder / "recipe", pico)
    text = recipe.read_text(encoding="utf-8").replace("lora: {rank: 4, alpha: 8}", "lora: {rank: 4, alpha: 8, dora: true, targets: [q_proj, down_proj]}")
    recipe.write_text(text[: text.index("  - id: eval")], encoding="utf-8")
    jp_adapt.run_recipe(load_recipe(recipe), folder / "run")
    return jp_adapt.open_run(folder / "run")


def logits(model, ids):
    with torch.inference_mode():
        return model(input_ids=ids).logits


@pytest.mark.parametrize("verb", [["export", "adapter"], ["merge"]])
def test_the_command_gives_the_model_that_the_export_stage_gives(verb, run, pico, tmp_path, capsys):
    """`merge ADAPTER` is the old name; it says what the new one is, on stderr."""
    out = tmp_path / "merged"
    assert main([*verb, str(run.result("cpt")), "--base", str(pico), "--out", str(out)]) == 0
    written = capsys.readouterr()
    assert written.out.strip() == str(out)
    assert ("jp-adapt merge ADAPTER is now: jp-adapt export adapter ADAPTER" in written.err) == (verb == ["merge"])
    exported, merged = (load_file(folder / "model.safetensors") for folder in (run.result("model"), out))
    assert all(torch.equal(merged[name], weight) for name, weight in exported.items())
    assert AutoTokenizer.from_pretrained(out).encode("今日は雨です。") == AutoTokenizer.from_pretrained(run.result("model")).encode("今日は雨です。")


def test_plain_peft_loads_the_adapter_on_the_extended_base(run, pico, tmp_path):
    """The extended base is what the rows stage merges to; with the rows of the adapter in it, peft computes what the merged model computes."""
    adapter = run.result("cpt")
    extended = AutoModelForCausalLM.from_pretrained(pico)
    rows = load_file(adapter / "new_rows.safetensors")["input"]
    extended.resize_token_embeddings(500 + len(rows), mean_resizing=False)
    extended.get_input_embeddings().weight.data[500:] = rows
    ids = torch.tensor([AutoTokenizer.from_pretrained(adapter).encode("今日は雨です。 It rains.")])
    assert int(ids.max()) >= 500
    theirs = PeftModel.from_pretrained(extended, adapter)
    assert {type(module).__name__ for name, module in theirs.named_modules() if name.endswith("down_proj")} == {"Linear"}
    torch.testing.assert_close(logits(theirs, ids), logits(AutoModelForCausalLM.from_pretrained(run.result("model")), ids), rtol=1e-4, atol=1e-5)


def test_a_model_card_says_where_the_model_comes_from(run, pico):
    card = (run.result("model") / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlanguage:\n- ja\n")
    for fact in (
        f"base: the folder `{pico.name}`",
        "seed 7",
        "stage `rows`",
        "stage `cpt`",
        "learned from `ja` (ja), license Apache-2.0",
        "tokens of ja",
        "differ by at most",
    ):
        assert fact in card, fact
    assert 'AutoModelForCausalLM.from_pretrained("FOLDER")' in card
    assert "apply_chat_template" not in card  # it was taught no conversation


def test_merge_refuses_another_tokenizer_and_what_is_no_adapter(run, pico, tmp_path):
    with pytest.raises(InputError, match=r"none lies in .*; name its folder with --tokenizer"):
        jp_adapt.merge_adapter(run.result("cpt"), pico, tmp_path / "out", tokenizer=pico)
    with pytest.raises(InputError, match="no adapter that jp-adapt saved"):
        jp_adapt.merge_adapter(pico, pico, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_layer_that_the_model_lacks_is_named(pico, tmp_path, capsys):
    recipe = write_small_recipe(tmp_path / "recipe", pico)
    code = main(["run", str(recipe), "--out", str(tmp_path / "run"), "-s", "stages.cpt.lora.targets=[q_projj]"])
    assert code == 3
    assert "the model has no linear layer 'q_projj' (did you mean 'q_proj'?); it has down_proj, " in capsys.readouterr().err


def test_open_run_reads_metrics_and_names_what_is_not_there(run, tmp_path):
    assert run.stages == ["tok", "rows", "cpt", "model"]
    steps = [line["step"] for line in run.metrics("rows")]
    assert steps == list(range(len(steps)))
    assert run.metrics("rows")[-1]["row_norm_new"] > 0
    assert json.dumps(run.summary.as_dict())
    with pytest.raises(InputError, match="no stage 'ctp'"):
        run.result("ctp")
    with pytest.raises(InputError, match="no run folder"):
        jp_adapt.open_run(tmp_path)
