"""The commands of docs/tutorial.md, copied from the page, on a model and texts that are small enough for a test."""

from __future__ import annotations

import io
import json
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from jp_adapt.cli.main import main
from jp_adapt.core.files import read_json
from tests.conftest import ROOT, documents

PAGE = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
COMMANDS = [line.strip() for line in PAGE.splitlines() if line.startswith("    ")]
SECOND_RUN = next(command for command in COMMANDS if command.endswith("lr=5e-4"))  # the same again with another setting, for a reader


@pytest.fixture
def folder(tmp_path: Path, pico: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the page says that a reader brings, and nothing else."""
    shutil.copytree(pico, tmp_path / "base")
    for name, texts in (("text", documents("ja_train.jsonl")[:25]), ("english", documents("en_train.jsonl")[:6])):
        lines = [json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts]
        (tmp_path / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    rows = (ROOT / "recipes" / "data" / "sft" / "ja_instructions.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    short = sorted(rows, key=len)[:12]  # in the toy's 512 positions
    (tmp_path / "chats.jsonl").write_text("".join(short), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command: str, monkeypatch: pytest.MonkeyPatch) -> int:
    before, _, after = command.rpartition(" | ")
    words = shlex.split(after)
    assert words[0] == "jp-adapt"
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{shlex.split(before)[1]}\n" if before else ""))
    return main(words[1:])


def test_every_command_of_the_tutorial_runs_in_its_order(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    said: dict[str, str] = {}
    for command in COMMANDS:
        if command == SECOND_RUN:
            continue
        assert run(command, monkeypatch) == 0, command
        said[command.rpartition("jp-adapt ")[2].split()[0]] = capsys.readouterr().out
    assert "[[" in said["preview"]
    report = (folder / "runs" / "mine" / "report" / "index.html").read_text(encoding="utf-8")
    assert "This run measured no held-out text" not in report
    assert "This run segmented no example sentences" not in report
    assert read_json(folder / "runs" / "mine" / "stages" / "model" / "final" / "config.json")["vocab_size"] > 500
    assert (folder / "comparison.html").is_file()


def test_the_page_says_what_the_repository_has() -> None:
    assert len(COMMANDS) >= 12
    assert SECOND_RUN.split()[:2] == ["jp-adapt", "run"]
