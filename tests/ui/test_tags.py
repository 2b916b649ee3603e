"""Tags of the things in a folder: given and taken by a command, shown in the table, and never in the way of what they stand beside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jp_adapt.cli.main import main
from jp_adapt.ui.library import Library
from jp_adapt.ui.tags import TAGS
from tests.ui.pages import write_evaluation, write_training_run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_training_run(tmp_path / "a")
    write_training_run(tmp_path / "b")
    write_evaluation(tmp_path / "eval", [True, False])
    return tmp_path


def tags_of(folder: Path) -> dict[str, list[str]]:
    return {entry.path: entry.tags for entry in Library(folder).entries()}


def test_tags_are_given_shown_filtered_and_taken_away(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "tag", str(folder / "a"), "論文", "baseline"]) == 0
    assert main(["runs", "tag", str(folder / "eval"), "baseline"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"{folder / 'a'}: baseline, 論文"
    assert tags_of(folder) == {"a": ["baseline", "論文"], "b": [], "eval": ["baseline"]}
    assert main(["runs", str(folder), "--tag", "baseline", "--json"]) == 0
    assert {entry["path"] for entry in json.loads(capsys.readouterr().out)} == {"a", "eval"}
    assert main(["runs", str(folder), "--tag", "baseline", "--tag", "論文"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["kind", "path", "state", "figures", "tags", "size", "date"]
    assert main(["runs", str(folder), "--tag", "none"]) == 0
    assert capsys.readouterr().out == f"{folder}: nothing has the tag none\n"
    assert main(["runs", "tag", str(folder / "a"), "--remove", "baseline", "2026"]) == 0
    assert capsys.readouterr().out == f"{folder / 'a'}: 2026, 論文\n"
    assert main(["runs", "tag", str(folder / "a"), "--remove", "論文", "--remove", "2026"]) == 0
    assert capsys.readouterr().out == f"{folder / 'a'}: no tags\n"
    assert not (folder / "a" / TAGS).exists()
    assert main(["runs", str(folder)]) == 0
    assert "tags" in capsys.readouterr().out


def test_a_folder_behind_its_tags_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "tag", "paper", str(folder / "a")]) == 2
    assert f"the folder stands before its tags: jp-adapt runs tag {folder / 'a'} paper" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        (["a", "two words"], 2, "'two words' is not a tag"),
        (["a", "x" * 41], 2, "is not a tag: 1 to 40 letters, digits and . _ - : + /, without spaces"),
        (["a", "\u202e"], 2, "is not a tag"),
        (["a", *(f"t{n}" for n in range(21))], 2, "21 tags, and 20 are the most"),
        (["a", "--remove", "x"], 2, "has no tag x; it has none"),
        (["", "x"], 3, "no run, evaluation, corpus, tokenizer or merge lies here"),
        (["no", "x"], 3, "no run, evaluation, corpus, tokenizer or merge lies here"),
    ],
)
def test_what_is_no_tag_is_refused_and_nothing_changes(folder: Path, given: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "tag", str(folder / given[0]), *given[1:]]) == code
    assert said in capsys.readouterr().err
    assert tags_of(folder) == {"a": [], "b": [], "eval": []}


@pytest.mark.parametrize("text", ["<script>alert(1)</script>\n", "a\n" * 3 + "".join(f"t{n}\n" for n in range(30)), "\u202eevil\n", b"\xff\xfe"])
def test_tags_that_cannot_be_read_leave_their_run_in_the_table(folder: Path, text: str | bytes) -> None:
    (folder / "a" / TAGS).write_bytes(text if isinstance(text, bytes) else text.encode())
    entry = next(entry for entry in Library(folder).entries() if entry.path == "a")
    assert (entry.kind, entry.state, entry.tags) == ("run", "done", [])
    assert "TAGS" in entry.headline
    assert str(folder) not in entry.headline


def test_a_list_by_what_is_no_tag_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", str(folder), "--tag", "two words"]) == 2
    assert "'two words' is not a tag" in capsys.readouterr().err
