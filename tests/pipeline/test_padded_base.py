"""A base whose embedding has more or fewer rows than its tokenizer has tokens, from the recipe to the exported model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from jp_adapt.cli.main import main
from jp_adapt.model.rows import init_new_rows
from jp_adapt.pipeline.run import run_recipe
from jp_adapt.recipe.load import load_recipe
from tests.conftest import QUICKSTART
from tests.recipes import write_small_recipe

TOKENS = 500  # of the tokenizer of `pico`


def padded(pico: Path, folder: Path, rows: int, *, tied: bool = True) -> Path:
    """`pico` with another number of embedding rows, all else the same."""
    shutil.copytree(pico, folder)
    config = LlamaConfig.from_pretrained(pico)
    config.vocab_size, config.tie_word_embeddings = rows, tied
    torch.manual_seed(1)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def short(recipe: Path, new_tokens: int) -> list[str]:
    """Settings that leave a stage of rows, one of LoRA and the export, a few steps each."""
    text = recipe.read_text(encoding="utf-8")
    text = text[: text.index("  - id: eval")].replace("new_tokens: 60", f"new_tokens: {new_tokens}, cover: false")
    recipe.write_text(text, encoding="utf-8")
    return ["stages.rows.budget.tokens=500", "stages.rows.init=mean", "stages.cpt.budget.tokens=500"]


@pytest.mark.parametrize(("new_tokens", "tied"), [(60, True), (60, False), (8, True)])
def test_new_tokens_take_rows_that_no_token_has(pico: Path, tmp_path: Path, new_tokens: int, tied: bool, capsys: pytest.CaptureFixture[str]) -> None:
    base = padded(pico, tmp_path / "base", 512, tied=tied)
    recipe = write_small_recipe(tmp_path / "recipe", base)
    settings = short(recipe, new_tokens)
    run_recipe(load_recipe(recipe, settings), tmp_path / "run")
    assert f"12 of the base's 512 embedding rows belong to no token; new tokens take {min(12, new_tokens)} of them" in capsys.readouterr().err
    final = tmp_path / "run" / "stages" / "model" / "final"
    old, new = (load_file(folder / "model.safetensors") for folder in (base, final))
    size = max(512, TOKENS + new_tokens)
    tokens = json.loads((tmp_path / "run" / "stages" / "tok" / "final" / "extension.json").read_text(encoding="utf-8"))["tokens"]
    assert [token["id"] for token in tokens] == list(range(TOKENS, TOKENS + new_tokens))
    for name in ("model.embed_tokens.weight", *(() if tied else ("lm_head.weight",))):
        assert new[name].shape[0] == size
        assert torch.equal(new[name][:TOKENS], old[name][:TOKENS])
        assert torch.equal(new[name][TOKENS + new_tokens :], old[name][TOKENS + new_tokens :])
        first = init_new_rows(old[name][:TOKENS], [token["sources"] for token in tokens])
        moved = (new[name][TOKENS : TOKENS + new_tokens] - first).norm(dim=1) / first.norm(dim=1)
        assert 0 < float(moved.median()) < 0.5, "begun at the mean of their pieces, and trained"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(final), AutoTokenizer.from_pretrained(final)
    assert model.config.vocab_size == size
    assert len(tokenizer) == TOKENS + new_tokens
    ids = tokenizer("今日は雨です。", return_tensors="pt").input_ids
    assert ids.max() >= TOKENS
    with torch.inference_mode():
        assert torch.isfinite(model(ids).logits).all()
    model.resize_token_embeddings(max(size, len(tokenizer)))  # what many trainers do: nothing is cut off
    assert model.get_input_embeddings().weight.shape[0] == size


def test_too_few_rows_are_refused_before_any_work(pico: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = padded(pico, tmp_path / "base", 490)
    recipe = write_small_recipe(tmp_path / "recipe", base)
    capsys.readouterr()  # what transformers says while it writes the base
    message = f"error: {base}: its tokenizer has 500 tokens, and the embedding of its model 490 rows: ids from 490 on have no row."
    assert main(["check", str(recipe)]) == 3
    assert capsys.readouterr().err.startswith(message)
    assert main(["run", str(recipe), "--out", str(tmp_path / "run")]) == 3
    assert capsys.readouterr().err.startswith(message)
    assert not (tmp_path / "run" / "stages").exists()
    command = ["tokenizer", "extend", "--base", str(base), "--corpus", str(QUICKSTART / "ja_train.jsonl"), "--new-tokens", "50", "--out", str(tmp_path / "out")]
    assert main(command) == 3
    assert capsys.readouterr().err.startswith(message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("new_tokens", "pad_to", "rows"), [(50, 64, 576), (5, 64, 512), (5, 1, 512), (50, 1, 550)])
def test_the_number_of_rows_counts_those_of_the_base(
    pico: Path, ja_corpus: str, tmp_path: Path, new_tokens: int, pad_to: int, rows: int, capsys: pytest.CaptureFixture[str]
) -> None:
    base = padded(pico, tmp_path / "base", 512)
    command = ["tokenizer", "extend", "--base", str(base), "--corpus", ja_corpus, "--new-tokens", str(new_tokens), "--no-cover"]
    assert main([*command, "--pad-to", str(pad_to), "--out", str(tmp_path / "out")]) == 0
    assert "12 embedding rows of the base belong to none of its tokens: the first new tokens have their ids." in capsys.readouterr().out
    report = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert report["extension"]["padded_vocab_size"] == rows
    assert report["extension"]["vocab_size"] == TOKENS + new_tokens


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda spec: spec.update(normalizer={"type": "NFKC"}), r"its normalizer (NFKC) changes a text before it is cut"),
        (lambda spec: spec["model"].update(dropout=0.1), "a dropout of 0.1"),
        (lambda spec: spec["added_tokens"].clear(), "bos_token names '<|endoftext|>', and tokenizer.json has no such added token"),
    ],
)
def test_a_tokenizer_that_cannot_be_extended_is_seen_by_check(
    pico: Path, tmp_path: Path, spoil: object, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    base = shutil.copytree(pico, tmp_path / "base")
    spec = json.loads((base / "tokenizer.json").read_text(encoding="utf-8"))
    spoil(spec)  # type: ignore[operator]
    (base / "tokenizer.json").write_text(json.dumps(spec), encoding="utf-8")
    assert main(["check", str(write_small_recipe(tmp_path / "recipe", base))]) == 3
    assert message in capsys.readouterr().err
