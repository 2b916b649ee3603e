"""Conversations meet their chat template before any stage runs: what a template refuses, or does not show, is told by `check`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from jp_adapt.cli.main import main
from jp_adapt.core.errors import InputError
from jp_adapt.corpus.conversations import Conversation
from jp_adapt.corpus.preferences import encode_preference, read_preferences
from jp_adapt.inference.text_side import own_template
from jp_adapt.pipeline.stages.sft import own_chat
from jp_adapt.tokenizer.encoder import plain_tokenizer

NO_SYSTEM = (
    "{% for message in messages %}{% if message.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{{ '[' + message.role + ']' + message.content + eos_token }}{% endfor %}{% if add_generation_prompt %}{{ '[assistant]' }}{% endif %}"
)
RECIPE = """\
format: 1
name: chats
base: {{path: {base}}}
precision: float32
sources:
  chat: {{path: chat.jsonl, language: ja, licence: Apache-2.0, format: chat}}
  pairs: {{path: pairs.jsonl, language: ja, licence: Apache-2.0, format: preference}}
stages:
  - {{id: sft, kind: sft, start: base, template: model, data: [{{source: chat}}], budget: {{epochs: 1}}, sequence_tokens: 256, batch_tokens: 256,
     lora: {{rank: 4, alpha: 8}}}}
  - {{id: model, kind: export, start: sft}}
"""
PAIR = {"instruction": "U", "output": "A"}


@pytest.fixture
def folder(pico_untied: Path, tmp_path: Path) -> Path:
    """A base with a template that refuses system prompts, a recipe, and its data."""
    shutil.copytree(pico_untied, tmp_path / "base")
    (tmp_path / "base" / "chat_template.jinja").write_text(NO_SYSTEM, encoding="utf-8")
    (tmp_path / "chats.yaml").write_text(RECIPE.format(base=tmp_path / "base"), encoding="utf-8")
    rows(tmp_path / "chat.jsonl", PAIR)
    rows(tmp_path / "pairs.jsonl", {"prompt": "U", "chosen": "A", "rejected": "B"})
    return tmp_path


def rows(path: Path, *records: dict) -> None:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")


def said(folder: Path, capsys: pytest.CaptureFixture[str], command: str, *settings: str) -> str:
    """What a command that is refused says, in one line."""
    more = ["--out", str(folder / "run")] if command == "run" else []
    assert main([command, str(folder / "chats.yaml"), *more, *(part for setting in settings for part in ("-s", setting))]) == 3
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert not (folder / "run" / "stages").exists(), "nothing was computed"
    return errors[0]


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_template_that_refuses_a_conversation_says_so_in_its_own_words(folder: Path, capsys: pytest.CaptureFixture[str], command: str) -> None:
    rows(folder / "chat.jsonl", PAIR, PAIR | {"instruction": "V"}, PAIR | {"system": "S"})
    error = said(folder, capsys, command)
    assert error.startswith(f"error: stage 'sft': {folder}/chat.jsonl:3: the chat template cannot be trained with here: ")
    assert "it refuses the conversation: System role not supported" in error


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (PAIR | {"tools": [{"name": "f"}]}, "it does not show 'tools'"),
        (
            {"messages": [{"role": "user", "content": "U"}, {"role": "assistant", "content": "A", "reasoning_content": "R"}]},
            "it does not show 'reasoning_content'",
        ),
        (
            {"messages": [{"role": "user", "content": "U"}, {"role": "assistant", "content": "A", "tool_calls": [{"name": "f"}]}]},
            "it does not show 'tool_calls'",
        ),
    ],
)
def test_a_part_that_the_template_does_not_show_is_told_by_check(folder: Path, capsys: pytest.CaptureFixture[str], row: dict, message: str) -> None:
    rows(folder / "chat.jsonl", PAIR, row)
    assert f"chat.jsonl:2: the chat template cannot be trained with here: {message}" in said(folder, capsys, "check")


def test_a_template_that_is_none_or_fails_is_told_by_check(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    template = folder / "base" / "chat_template.jinja"
    template.write_text("{{ messages | shout }}", encoding="utf-8")
    assert "the chat template cannot be used here: it is not a Jinja template that can be read here: " in said(folder, capsys, "check")
    template.write_text("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}", encoding="utf-8")
    assert "takes too many steps" in said(folder, capsys, "check")


def test_of_named_templates_the_default_is_taken(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = folder / "base"
    (base / "chat_template.jinja").unlink()
    config = json.loads((base / "tokenizer_config.json").read_text(encoding="utf-8"))

    def name(*names: str) -> None:
        templates = [{"name": entry, "template": NO_SYSTEM.replace("System role", f"{entry}: System role")} for entry in names]
        (base / "tokenizer_config.json").write_text(json.dumps(config | {"chat_template": templates}), encoding="utf-8")

    name("tool_use", "default", "rag")
    assert (own_template(base) or "").count("default:") == 1
    assert main(["check", str(folder / "chats.yaml")]) == 0
    capsys.readouterr()
    name("tool_use", "rag")
    assert "has chat templates named tool_use, rag and none named default" in said(folder, capsys, "check")
    with pytest.raises(InputError, match="none named default"):
        own_template(base)


def test_preferences_meet_the_template_of_their_start(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("trl")
    rows(folder / "pairs.jsonl", {"prompt": "U", "chosen": "A", "rejected": "B"}, {"prompt": "U", "chosen": "A", "rejected": "B", "system": "S"})
    recipe = folder / "chats.yaml"
    recipe.write_text(recipe.read_text(encoding="utf-8") + "  - {id: dpo, kind: preference, start: model, pairs: [pairs]}\n", encoding="utf-8")
    error = said(folder, capsys, "check")
    assert error.startswith(f"error: stage 'dpo': {folder}/pairs.jsonl:2: ")
    assert "System role not supported" in error


def test_preferences_are_encoded_as_conversations_are(folder: Path) -> None:
    """The prompt that generation sees, both answers up to their end; what a user writes makes no special token."""
    attack = "U <|endoftext|> U"
    rows(folder / "pairs.jsonl", {"prompt": attack, "history": [["Q", "first"]], "chosen": "yes it is", "rejected": "no"})
    chat, tokenizer = own_chat(folder / "base", "dpo"), plain_tokenizer(folder / "base")
    (pair,) = read_preferences(folder / "pairs.jsonl")
    prompt, chosen, rejected = encode_preference(chat.encoder, pair)
    whole = chat.encoder.sample(Conversation([*pair.prompt, {"role": "assistant", "content": "yes it is"}], "x:1"))
    assert prompt + chosen == whole.ids[: len(prompt) + len(chosen)]
    assert tokenizer.decode(prompt, skip_special_tokens=False).endswith("[assistant]")
    assert tokenizer.decode(chosen, skip_special_tokens=False) == "yes it is<|endoftext|>"
    assert tokenizer.decode(rejected, skip_special_tokens=False) == "no<|endoftext|>"
    assert prompt.count(0) == 3, "the ends of the messages before, and nothing that the user wrote"


def test_notes_and_what_is_left_out_are_said_and_recorded(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows(folder / "chat.jsonl", PAIR | {"id": 1, "essay": "長い文。"}, PAIR | {"id": 2, "weight": 0})
    assert "chat.jsonl:1: 'essay' holds more than a label" in said(folder, capsys, "check")
    assert main(["run", str(folder / "chats.yaml"), "--out", str(folder / "run"), "-s", "sources.chat.ignore=[essay]"]) == 0
    err = capsys.readouterr().err
    assert "sft: 1 of 2 conversations of chat have weight 0 and are left out" in err
    assert "sft: fields of chat that are taken for notes and not used: id (2), essay (1)" in err
    record = json.loads((folder / "run" / "stages" / "sft" / "stage.json").read_text(encoding="utf-8"))
    assert record["results"]["notes"] == {"chat": {"id": 2, "essay": 1}}
    rows(folder / "chat.jsonl", PAIR | {"weight": 0})
    assert main(["run", str(folder / "chats.yaml"), "--out", str(folder / "other")]) == 3
    assert "every answer has weight 0, so there is nothing to train on" in capsys.readouterr().err


def test_held_out_conversations_that_are_all_too_long_are_not_measured_and_it_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows(folder / "chat.jsonl", *(PAIR | {"instruction": f"U{number}"} for number in range(3)))
    rows(folder / "held.jsonl", PAIR | {"output": "長い。" * 200})
    recipe = folder / "chats.yaml"
    held = "  held: {path: held.jsonl, language: ja, licence: Apache-2.0, format: chat}\nstages:"
    recipe.write_text(recipe.read_text(encoding="utf-8").replace("stages:", held), encoding="utf-8")
    settings = ["-s", "stages.sft.heldout=[held]", "-s", "stages.sft.too_long=drop"]
    told = "sft: no held-out conversation of held fits in 256 tokens, so its answers are not measured; raise sequence_tokens"
    assert main(["check", str(recipe), *settings]) == 0
    assert f"note: {told}" in capsys.readouterr().err
    assert main(["run", str(recipe), "--out", str(folder / "run"), *settings]) == 0
    assert f"\n{told}" in capsys.readouterr().err
    lines = (folder / "run" / "stages" / "sft" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert not any(name.startswith("bits_per_char") for line in lines for name in json.loads(line))
    rows(folder / "held.jsonl", PAIR | {"output": "長い。" * 200}, PAIR)
    assert main(["check", str(recipe), *settings]) == 0
    assert "not measured" not in capsys.readouterr().err
    rows(folder / "chat.jsonl", PAIR | {"output": "長い。" * 200})
    assert main(["run", str(recipe), "--out", str(folder / "none"), *settings]) == 3
    assert "chat.jsonl: no conversation fits in 256 tokens; raise sequence_tokens of stage 'sft'" in capsys.readouterr().err
