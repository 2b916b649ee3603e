"""The commands of the tutorials, copied from their pages, on models and texts that are small enough for a test."""

from __future__ import annotations

import io
import json
import re
import shlex
import shutil
import sys
from pathlib import Path
from types import MappingProxyType

import pytest

from jp_adapt.cli.main import main
from jp_adapt.core.files import read_json, write_json
from jp_adapt.text.chat import TEMPLATES
from jp_adapt.tokenizer import tiktoken
from jp_adapt.tokenizer.bpe import BpeTokenizer
from jp_adapt.tokenizer.load import LoadedTokenizer
from tests.conftest import ROOT, documents, make_pico
from tests.export.models import add_llama, write_base_tokenizer
from tests.tokenizer.conftest import load_sentencepiece, small_ranks, train_sentencepiece

DOCS = ROOT / "docs"
SMALLER = MappingProxyType({"12000": "120", "10000": "100", "4000": "60", "5000000": "4000"})  # numbers of new tokens, for texts of some pages


def commands(page: str) -> list[str]:
    """Those that stand alone on a line, but for a second run with another setting."""
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.startswith("    ") and not line.endswith("lr=5e-4")]


def run_all(page: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """What each verb printed; every command must end with 0."""
    said: dict[str, str] = {}
    assert len(commands(page)) >= 8
    for command in commands(page):
        typed, _, after = command.rpartition(" | ")
        program, *words = shlex.split(after)
        assert program == "jp-adapt"
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{shlex.split(typed)[1]}\n" if typed else "こんにちは\n"))
        assert main([re.sub(r"\d{4,}", lambda number: SMALLER.get(number[0], number[0]), word) for word in words]) == 0, command
        said[" ".join(words[:2]) if words[0] in ("tokenizer", "eval") else words[0]] = capsys.readouterr().out
    return said


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The texts and conversations that the pages say a reader brings; the working folder."""
    texts = {"text": documents("ja_train.jsonl")[:25], "other": documents("ja_heldout.jsonl")[:3], "english": documents("en_train.jsonl")[:6]}
    for name, some in texts.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in some), encoding="utf-8")
    rows = (ROOT / "recipes" / "data" / "sft" / "ja_instructions.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    short = sorted(rows, key=len)[:12]  # in the toy's 512 positions
    (tmp_path / "chats.jsonl").write_text("".join(short), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_own_text(folder: Path, pico: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(pico, folder / "base")
    said = run_all("tutorial.md", monkeypatch, capsys)
    assert "[[" in said["preview"]
    report = (folder / "runs" / "mine" / "report" / "index.html").read_text(encoding="utf-8")
    assert "This run measured no held-out text" not in report
    assert "This run segmented no example sentences" not in report
    assert read_json(folder / "runs" / "mine" / "stages" / "model" / "final" / "config.json")["vocab_size"] > 500
    assert (folder / "comparison.html").is_file()


def test_the_japanese_page_has_the_same_commands() -> None:
    assert commands("tutorial_ja.md") == commands("tutorial.md")


def test_llama2(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    loaded = load_sentencepiece(train_sentencepiece())
    (folder / "llama2").mkdir()
    write_base_tokenizer(loaded, folder / "llama2")
    add_llama(folder / "llama2", loaded.tokenizer.vocab_size)
    said = run_all("tutorials/llama2.md", monkeypatch, capsys)
    assert (folder / "llama2-ja" / "tokenizer.model").is_file()
    assert "llama2-ja-60" in said["tokenizer compare"]
    assert "control" in said["report"]


def test_llama3(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ranks = small_ranks()
    names = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", *(f"<|reserved_{n}|>" for n in range(251))]
    loaded = LoadedTokenizer(BpeTokenizer(tiktoken.spec_with(ranks, names)), [], ranks=ranks)
    (folder / "llama3").mkdir()
    write_base_tokenizer(loaded, folder / "llama3")
    add_llama(folder / "llama3", loaded.tokenizer.vocab_size)
    (folder / "llama3" / "chat_template.jinja").write_text(TEMPLATES["llama3"].jinja, encoding="utf-8")
    said = run_all("tutorials/llama3.md", monkeypatch, capsys)
    assert "<|eot_id|>" in said["preview"]
    assert (folder / "llama3-ja" / "original" / "tokenizer.model").is_file()


def test_qwen3(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    base = make_qwen3(folder / "qwen3")
    said = run_all("tutorials/qwen3.md", monkeypatch, capsys)
    assert "<|im_end|>" in said["preview"]
    result = folder / "runs" / "qwen3-ja" / "stages" / "model" / "final"
    assert read_json(result / "config.json")["model_type"] == "qwen3"
    assert sorted(read_json(result / "generation_config.json")["eos_token_id"]) == [0, 2], "the end of a document, and of an answer"
    assert (result / "tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()
    assert main(["tokenizer", "extend", "--base", "qwen3", "--corpus", "text.jsonl", "--new-tokens", "50", "--out", "refused"]) == 3
    assert "normalizer (NFC)" in capsys.readouterr().err


def test_own_conversations(folder: Path, pico: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(pico, folder / "base")
    assert "[[" in run_all("tutorials/chats.md", monkeypatch, capsys)["preview"]
    assert (folder / "comparison.html").is_file()


def make_qwen3(folder: Path) -> Path:
    """A Qwen3 of two layers, its tokenizer normalising and its conversations in ChatML, as the real one's."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    make_pico(folder, special=("<|endoftext|>", "<|im_start|>", "<|im_end|>"))
    write_json(folder / "tokenizer.json", read_json(folder / "tokenizer.json") | {"normalizer": {"type": "NFC"}})
    write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": "Qwen2Tokenizer", "bos_token": None, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "unk_token": None},
    )
    (folder / "chat_template.jinja").write_text(TEMPLATES["chatml"].jinja, encoding="utf-8")
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8}
    config = Qwen3Config(vocab_size=500, max_position_embeddings=512, tie_word_embeddings=True, bos_token_id=0, eos_token_id=2, **sizes)
    Qwen3ForCausalLM(config).save_pretrained(folder)
    return folder
