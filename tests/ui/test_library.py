"""What the page may read: looked at again where it changed, and nothing outside of the folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from jp_adapt.core.errors import InputError
from jp_adapt.ui.library import Library
from tests.ui.pages import add_steps, write_corpus, write_evaluation, write_training_run


def test_a_change_is_seen_and_what_did_not_change_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jp_adapt.ui.library.LOOK_EVERY_S", 0.0)
    write_training_run(tmp_path / "a")
    write_training_run(tmp_path / "b", steps=4)
    library = Library(tmp_path)
    library.entries()
    read: list[Path] = []
    whole = library._read
    monkeypatch.setattr(library, "_read", lambda path, *rest: [read.append(path), whole(path, *rest)][1])
    library.entries()
    assert read == []
    add_steps(tmp_path / "b" / "stages" / "cpt", 5, 6, 10)
    assert "6/10" in next(entry.headline for entry in library.entries() if entry.path == "b")
    assert read == [tmp_path / "b"]
    shutil.rmtree(tmp_path / "a")
    assert "a" not in [entry.path for entry in library.entries()]


def test_a_folder_whose_name_is_no_utf_8(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\xfe")
    write_evaluation(tmp_path / name, [True, False], model="m")
    [entry] = Library(tmp_path).entries()
    assert (entry.path, entry.name) == (name, "m")


def test_a_path_is_one_of_those_that_were_found(tmp_path: Path) -> None:
    library = Library(tmp_path)
    with pytest.raises(InputError, match="'a' is no run of this folder; it may have been moved, or cannot be read"):
        library.run("a")
    write_training_run(tmp_path / "a")
    write_corpus(tmp_path / "c")
    assert library.run("a") == tmp_path / "a"  # it came after the last look
    assert library.corpus("c") == tmp_path / "c"
    for path in ("./a", "a/", "a/stages/cpt", "../" + tmp_path.name + "/a", str(tmp_path / "a"), "c"):
        with pytest.raises(InputError, match="is no run of this folder"):
            library.run(path)


def test_a_model_behind_a_link_that_leads_out_is_not_played_with(tmp_path: Path, pico: Path) -> None:
    shutil.copytree(pico, tmp_path / "own")
    shutil.copytree(pico, tmp_path / "linked")
    (tmp_path / "linked" / "tokenizer.json").unlink()
    (tmp_path / "linked" / "tokenizer.json").symlink_to(pico / "tokenizer.json")
    (tmp_path / "small.gguf").write_bytes(b"GGUF")
    library = Library(tmp_path, {"given": pico})
    assert [*library.playground(tokenizers=True)] == ["given", "own"]
    assert [*library.playground(tokenizers=False)] == ["given", "small.gguf", "own"]
