"""The files and commands of docs/howto/own-benchmark.md, copied from the page, on a small model."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from jp_adapt.cli.main import main
from jp_adapt.evaluation.results import read_outputs, read_scores
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "howto" / "own-benchmark.md").read_text(encoding="utf-8")


def _files() -> dict[str, str]:
    """Name -> content: a block belongs to the last file that the text before it names, and its commands stand by themselves."""
    results = {}
    for match in re.finditer(r"`([\w-]+\.(?:csv|jsonl|yaml))`[^`\n]*:\n\n((?:    .*\n|\n(?=    (?!jp-adapt)))+)", PAGE):
        results[match[1]] = re.sub("^    ", "", match[2], flags=re.MULTILINE)
    return results


COMMANDS = [line.strip() for line in PAGE.splitlines() if line.startswith("    jp-adapt ")]


def test_the_files_and_commands_of_the_page_work(pico: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    files = _files()
    assert list(files) == ["questions.csv", "questions.yaml", "open.yaml", "writing.csv", "writing.yaml", "calls.jsonl", "calls.yaml"]
    shutil.copytree(pico, tmp_path / "base")
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert len(COMMANDS) == 6
    for command in COMMANDS:
        assert main([*shlex.split(command)[1:], *(["--dtype", "float32"] if "--out" in command else [])]) == 0, command
    assert "items are too few; 30 are needed" in capsys.readouterr().out
    (chosen,) = read_scores(Path("runs/questions")).benchmarks
    assert (chosen.items, chosen.chance, list(chosen.groups)) == (4, pytest.approx(1 / 3), ["暦", "行事"])
    assert [output.gold for output in read_outputs(Path("runs/questions"))] == [0, 1, 2, 0]
    assert [output.gold for output in read_outputs(Path("runs/questions-chat"))] == [["A"], ["B"], ["C"], ["A"]]
    assert next(iter(read_outputs(Path("runs/open")))).gold == ["夏至", "夏至です"]
    assert next(iter(read_outputs(Path("runs/writing")))).gold[0] == '{"check": "text:contains", "words": ["雪", "冬"]}'
    assert [output.gold for output in read_outputs(Path("runs/calls"))] == [['[{"weather": {"city": ["札幌", "札幌市"], "days": [1, ""]}}]'], ['"no call"']]
