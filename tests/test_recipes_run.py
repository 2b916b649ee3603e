"""Every recipe runs from end to end on a small random model of the same architecture and tokenizer family, and needs the time that its header says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

from jp_adapt.cli.main import main
from jp_adapt.core.errors import InputError
from jp_adapt.core.shipped import shipped_recipes
from jp_adapt.pipeline.run import run_recipe
from jp_adapt.recipe.load import LoadedRecipe, load_recipe
from jp_adapt.recipe.schema import SftStage, TokenizerStage
from tests.conftest import documents
from tests.tokenizer.conftest import load_sentencepiece, small_ranks, tiktoken_spec, train_sentencepiece

FAMILIES = {
    "elyza-llama2-7b-fast": "llama2",
    "swallow-llama2-7b": "llama2",
    "alpaca-ja": "llama2",
    "stable-beluga-ja": "llama2",
    "elyza-llama3-8b-jp": "llama3",
    "cyberagent-llama3.1-70b": "llama3",
    "smollm2-135m-ja": "smollm2",
}
PLANNED = {name: ["--device", "h100-80g", *([] if name == "alpaca-ja" else ["--devices", "8"])] for name in FAMILIES} | {
    "smollm2-135m-ja": ["--device", "cpu-2core"]
}
LLAMA3_TOKENS = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]


def small_model(folder: Path, vocab_size: int, *, tied: bool = False) -> None:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=tied,
        bos_token_id=1,
        eos_token_id=2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


@pytest.fixture(scope="module")
def bases(tmp_path_factory, pico):
    """Family -> folder: SentencePiece BPE with untied heads, tiktoken BPE with Llama-3's special tokens, byte-level BPE with a tied head."""
    root = tmp_path_factory.mktemp("bases")
    llama2, llama3 = root / "llama2", root / "llama3"
    llama2.mkdir()
    data = train_sentencepiece()
    tokenizer = load_sentencepiece(data).tokenizer
    (llama2 / "tokenizer.model").write_bytes(data)
    tokenizer.runtime.save(str(llama2 / "tokenizer.json"))
    named = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>"}
    (llama2 / "tokenizer_config.json").write_text(json.dumps(named), encoding="utf-8")
    small_model(llama2, tokenizer.vocab_size)
    llama3.mkdir()
    ranks = small_ranks()
    spec = tiktoken_spec(ranks, len(LLAMA3_TOKENS))
    for token, text in zip(spec["added_tokens"], LLAMA3_TOKENS, strict=True):
        token["content"] = text
    (llama3 / "tokenizer.json").write_text(json.dumps(spec, ensure_ascii=False), encoding="utf-8")
    named = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": LLAMA3_TOKENS[0], "eos_token": LLAMA3_TOKENS[1]}
    (llama3 / "tokenizer_config.json").write_text(json.dumps(named), encoding="utf-8")
    small_model(llama3, len(ranks) + len(LLAMA3_TOKENS))
    return {"llama2": llama2, "llama3": llama3, "smollm2": pico}


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    japanese, english = documents("ja_train.jsonl"), documents("en_train.jsonl")
    for name, results in (("ja", japanese[:20]), ("en", english[:8]), ("ja_heldout", japanese[20:22]), ("en_heldout", english[8:10])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in results), encoding="utf-8")
    pairs = [{"instruction": f"{number}に1を足して。", "input": "" if number % 2 else "答えだけ。", "output": f"{number + 1}です。"} for number in range(12)]
    (folder / "chat.jsonl").write_text("".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs), encoding="utf-8")
    return folder


def small(name: str, bases: dict[str, Path], texts: Path) -> LoadedRecipe:
    """The recipe on a small base and small texts, with few steps; nothing else of it changes."""
    recipe = load_recipe(name, need_files=False).recipe
    settings = [f"base={{path: {bases[FAMILIES[name]]}}}", "precision=float32"]
    for source, entry in recipe.sources.items():
        language = f"{entry.language}_heldout" if source.endswith("heldout") else entry.language
        settings.append(f"sources.{source}.path={texts / ('chat' if entry.format == 'chat' else language)}.jsonl")
    for stage in recipe.stages:
        key = f"stages.{stage.id}"
        if isinstance(stage, TokenizerStage):
            settings.append(f"{key}.new_tokens=60")
        if stage.kind in ("rows", "pretrain", "sft"):
            length = 1024 if isinstance(stage, SftStage) else 128
            settings += [f"{key}.sequence_tokens={length}", f"{key}.batch_tokens={2 * length}", f"{key}.heldout_chars=100"]
            settings.append(f"{key}.budget={{epochs: 1}}" if isinstance(stage, SftStage) else f"{key}.budget={{tokens: 1500}}")
        if getattr(stage, "lora", None) is not None:
            settings.append(f"{key}.lora.rank=4")
        if stage.kind == "evaluate":
            settings.append(f"{key}.benchmarks=[]")
    return load_recipe(name, settings)


@pytest.mark.parametrize("name", FAMILIES)
def test_it_runs_from_end_to_end(name, bases, texts, tmp_path):
    loaded = small(name, bases, texts)
    result = run_recipe(loaded, tmp_path / "run")
    assert result.stages_done == [stage.id for stage in loaded.recipe.stages]
    folder = tmp_path / "run" / "stages" / "model" / "final"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    ids = tokenizer("今日は雨です。", return_tensors="pt").input_ids
    assert torch.isfinite(model(ids).logits).all()
    scores = json.loads((tmp_path / "run" / "stages" / "eval" / "final" / "evaluation.json").read_text(encoding="utf-8"))
    assert [text["id"] for text in scores["texts"]] == ["ja_heldout", "en_heldout"]
    sft = next((stage for stage in loaded.recipe.stages if isinstance(stage, SftStage)), None)
    if sft is not None:
        asked = tokenizer.apply_chat_template([{"role": "user", "content": "3に1を足して。"}], tokenize=False, add_generation_prompt=True)
        assert "3に1を足して。" in asked
        stops = model.generation_config.eos_token_id
        end = {"llama3": "<|eot_id|>"}.get(sft.template, "</s>")
        assert tokenizer.convert_tokens_to_ids(end) in (stops if isinstance(stops, list) else [stops])


@pytest.mark.parametrize("name", FAMILIES)
def test_its_header_says_the_time_that_the_plan_says(name, capsys):
    assert main(["plan", name, *PLANNED[name], "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    header = re.match(r"(# .*\n|#\n)+", shipped_recipes()[name].read_text(encoding="utf-8"))
    assert header is not None
    said = re.search(r"Time:  ([\d.]+) (h|min), ([\d.]+) device-hours \(`jp-adapt plan ([^`]+)`", header[0])
    assert said is not None
    assert said[4].split() == [name, *PLANNED[name]]
    assert float(said[1]) == pytest.approx(plan["hours"] * (1 if said[2] == "h" else 60), abs=0.51 if said[2] == "min" else 0.051)
    assert float(said[3]) == pytest.approx(plan["device_hours"], abs=0.051)
    for word in ("Needs:", "Look:", *(() if name == "smollm2-135m-ja" else ("Known of the original:", "Differs here:"))):
        assert word in header[0]


@pytest.mark.parametrize("name", FAMILIES)
def test_check_says_what_text_to_bring_and_how(name, capsys):
    with pytest.raises(InputError) as error:
        load_recipe(name)
    for source, entry in load_recipe(name, need_files=False).recipe.sources.items():
        if not entry.path:
            assert f"source '{source}': bring {entry.bring}: -s sources.{source}.path=FILE" in str(error.value)
    assert main(["check", name]) == 3
    assert "bring " in capsys.readouterr().err
