"""`jp-adapt preview`: which tokens of a conversation an sft stage trains on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jp_adapt.cli import preview
from jp_adapt.cli.main import main

RECIPE = """\
name: chats
base: {{path: {base}}}
sources:
  chat: {{path: chat.jsonl, language: ja, format: chat, heldout: 0.5}}
stages:
  - id: sft
    kind: sft
    start: base
    template: alpaca-ja
    data: [chat]
    budget: {{epochs: 1}}
  - {{id: model, kind: export, start: sft}}
"""


@pytest.fixture
def recipe(tmp_path: Path, pico: Path) -> Path:
    rows = [{"instruction": f"Say {word}.", "output": f"{word}\u001b[31m!"} for word in ("cat", "dog")]
    (tmp_path / "chat.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    path = tmp_path / "chats.yaml"
    path.write_text(RECIPE.format(base=pico), encoding="utf-8")
    return path


def test_the_answer_alone_is_marked_and_nothing_reaches_the_terminal(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["preview", str(recipe), "--examples", "9"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("sft, chat (chat.jsonl:")
    assert out.count("[[") == 1  # the other conversation is held out
    word = "cat" if "Say cat." in out else "dog"
    assert f"[[{word}\\x1b[31m!<|endoftext|>]]" in out
    assert "\x1b" not in out


def test_tokens_are_those_that_carry_loss(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["preview", str(recipe), "--json"]) == 0
    (shown,) = json.loads(capsys.readouterr().out)
    trained = [token for token in shown["tokens"] if token["trained"]]
    assert "".join(token["text"] for token in trained) == "".join(text for text, counts in shown["runs"] if counts)
    assert trained == shown["tokens"][-len(trained) :]
    assert main(["preview", str(recipe), "--tokens"]) == 0
    assert capsys.readouterr().out.count("  trained  ") == len(trained)


def test_colors_of_a_terminal() -> None:
    assert preview._marked("答え", True, True) == "\x1b[1;32m答え\x1b[0m"
    assert preview._marked("問い", False, True) == "\x1b[2m問い\x1b[0m"


def test_a_recipe_without_conversations(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["preview", "quickstart"]) == 2
    assert "quickstart: no sft stage" in capsys.readouterr().err


def test_a_stage_that_is_not_there(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["preview", str(recipe), "--stage", "stf"]) == 2
    assert "--stage stf: no such sft stage (did you mean 'sft'?); sft stages: sft" in capsys.readouterr().err


@pytest.mark.model
def test_a_base_in_a_gguf_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["preview", "quickstart-sft"]) == 0
    out = capsys.readouterr().out
    assert "<|im_start|>assistant\n[[" in out
    assert "<|im_end|>]]" in out
