"""Folders that earlier versions, or others, wrote are mended, and nothing of them is lost."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from jp_adapt.cli.main import main
from jp_adapt.core.errors import GateError, InputError, JpAdaptError, UsageError
from jp_adapt.tokenizer.auto import disagreements
from jp_adapt.tokenizer.extend import extend_tokenizer
from jp_adapt.tokenizer.load import load_tokenizer
from jp_adapt.tokenizer.repair import repair_tokenizer
from jp_adapt.tokenizer.save import save_tokenizer
from tests.tokenizer.hub_folders import HUB, small_base, write_hub_folder


def old_folder(folder: Path, name: str, japanese: list[str]) -> Path:
    """An extension as earlier versions wrote it: the base's configuration as it was, a rank file named tokenizer.model."""
    base = small_base(HUB[name].kind)
    before = write_hub_folder(folder.parent / f"{folder.name}-base", HUB[name], base.tokenizer.spec)
    folder.mkdir()
    save_tokenizer(base, extend_tokenizer(base.tokenizer, japanese[:20], 200), before, folder)
    for file in ("tokenizer_config.json", "config.json"):
        shutil.copy(before / file, folder)
    if base.ranks is not None:
        (folder / "original" / "tokenizer.model").rename(folder / "tokenizer.model")
        (folder / "original").rmdir()
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def llama2(japanese: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return old_folder(tmp_path_factory.mktemp("old") / "llama2", "Llama-2", japanese)


def test_a_folder_is_mended_in_place_and_its_old_file_kept(llama2: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(llama2, tmp_path / "model")
    before = contents(folder)
    repair = repair_tokenizer(folder)
    after = contents(folder)
    assert repair.folder == folder
    assert 0 < repair.disagreed < repair.compared
    assert repair.changes[0] == "tokenizer_class: LlamaTokenizer -> PreTrainedTokenizerFast, which runs tokenizer.json as it is"
    assert repair.kept == [folder / "tokenizer_config.json.before-repair"]
    assert after.pop("tokenizer_config.json.before-repair") == before["tokenizer_config.json"]
    assert {name for name in after if after[name] != before[name]} == {"tokenizer_config.json"}
    assert disagreements(folder, None, []) == ([], repair.compared)
    assert load_tokenizer(folder).sentencepiece is not None


def test_what_is_right_is_left_alone(llama2: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(llama2, tmp_path / "model")
    repair_tokenizer(folder)
    before = contents(folder)
    again = repair_tokenizer(folder)
    assert (again.changes, again.kept, again.disagreed) == ([], [], 0)
    assert contents(folder) == before


def test_an_older_kept_file_is_not_overwritten(llama2: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(llama2, tmp_path / "model")
    repair_tokenizer(folder)
    shutil.copy(llama2 / "tokenizer_config.json", folder)
    assert repair_tokenizer(folder).kept == [folder / "tokenizer_config.json.before-repair2"]


def test_a_mended_copy_leaves_the_folder_alone(llama2: Path, tmp_path: Path) -> None:
    before = contents(llama2)
    repair = repair_tokenizer(llama2, tmp_path / "new")
    assert contents(llama2) == before
    assert repair.kept == []
    written = contents(tmp_path / "new")
    assert written.keys() == {"tokenizer.json", "tokenizer.model", "tokenizer_config.json", "extension.json"}
    assert written["tokenizer.json"] == before["tokenizer.json"]
    assert disagreements(tmp_path / "new", {"model_type": "llama"}, [])[0] == []
    with pytest.raises(UsageError, match="exists already"):
        repair_tokenizer(llama2, tmp_path / "new")


def test_a_rank_file_gets_the_name_that_llama3_has(japanese: list[str], tmp_path: Path) -> None:
    folder = old_folder(tmp_path / "llama3", "Llama-3", japanese)
    ranks = (folder / "tokenizer.model").read_bytes()
    repair = repair_tokenizer(folder)
    assert repair.changes == ["tokenizer.model -> original/tokenizer.model: it is a rank file, and not the SentencePiece model of that name"]
    assert not (folder / "tokenizer.model").exists()
    assert (folder / "original" / "tokenizer.model").read_bytes() == ranks
    (folder / "tokenizer.model").write_bytes(ranks)
    assert repair_tokenizer(folder).kept == [folder / "tokenizer.model.before-repair"], "where another has that name it is kept under a third"
    assert (folder / "tokenizer.model.before-repair").read_bytes() == ranks


def test_a_gpt2_folder_without_configuration_gets_one(tmp_path: Path) -> None:
    """Its model type alone makes transformers build GPT2Tokenizer."""
    folder = write_hub_folder(tmp_path / "gpt2", HUB["SmolLM2"], small_base("SmolLM2").tokenizer.spec)
    (folder / "tokenizer_config.json").unlink()
    (folder / "config.json").write_text('{"model_type": "gpt2"}', encoding="utf-8")
    repair = repair_tokenizer(folder)
    assert repair.changes == ["tokenizer_config.json: none -> one that names PreTrainedTokenizerFast"]
    assert repair.disagreed > 0
    assert disagreements(folder, None, [])[0] == []


def test_what_cannot_be_mended_is_refused_and_left_alone(tmp_path: Path) -> None:
    """For the model type qwen2 transformers builds its own tokenizer, whatever the folder says."""
    folder = write_hub_folder(tmp_path / "qwen2", HUB["Qwen2.5"], small_base("SmolLM2").tokenizer.spec)
    (folder / "config.json").write_text('{"model_type": "qwen2"}', encoding="utf-8")
    before = contents(folder)
    with pytest.raises(GateError, match=r"cannot be mended: for the model type 'qwen2' AutoTokenizer loads it as Qwen2Tokenizer, which gives other ids"):
        repair_tokenizer(folder)
    with pytest.raises(GateError, match="cannot be mended"):
        repair_tokenizer(folder, tmp_path / "new")
    assert contents(folder) == before
    assert not (tmp_path / "new").exists()


def test_tokens_that_only_the_configuration_knows_are_refused(llama2: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(llama2, tmp_path / "model")
    (folder / "added_tokens.json").write_text('{"<|im_start|>": 32000}', encoding="utf-8")
    before = contents(folder)
    with pytest.raises(InputError, match=r"'<\|im_start\|>' has the id 32000, and in tokenizer\.json it is not an added token"):
        repair_tokenizer(folder)
    assert contents(folder) == before


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no tokenizer.json here, so nothing says which ids are the right ones"),
        ({"tokenizer.json": "["}, "not valid JSON"),
        ({"tokenizer.json": "[]"}, "holds no tokenizer"),
        ({"tokenizer.json": "{}"}, "not a tokenizer.json that `tokenizers` can run"),
    ],
)
def test_a_folder_that_is_none(tmp_path: Path, files: dict[str, str], message: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        repair_tokenizer(tmp_path)
    assert message in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(llama2: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(llama2, tmp_path / "model")
    folder.chmod(0o555)
    try:
        with pytest.raises(JpAdaptError, match="cannot be written"):
            repair_tokenizer(folder)
    finally:
        folder.chmod(0o755)


def test_the_command(llama2: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shutil.copytree(llama2, tmp_path / "model")
    assert main(["tokenizer", "repair", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("AutoTokenizer gave other ids than tokenizer.json for ")
    assert lines[1] == "  tokenizer_class: LlamaTokenizer -> PreTrainedTokenizerFast, which runs tokenizer.json as it is"
    assert lines[-2].startswith(f"Mended: {folder}; the ids are those of tokenizer.json for all of ")
    assert lines[-1] == f"Kept as it was: {folder / 'tokenizer_config.json.before-repair'}"
    assert main(["tokenizer", "repair", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changes"] == []
    assert main(["tokenizer", "repair", str(folder)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("AutoTokenizer gives the ids of tokenizer.json for all of ")
    assert said.endswith(" texts.\nNothing had to be mended.\n")
    assert main(["tokenizer", "repair", str(tmp_path / "none")]) == 3
    assert main(["tokenizer", "repair", str(folder), "--out", str(llama2)]) == 2
    (folder / "config.json").write_text('{"model_type": "qwen2"}', encoding="utf-8")
    assert main(["tokenizer", "repair", str(folder)]) == 4


@pytest.mark.parametrize(
    ("named", "first", "last"),
    [
        (
            "NoSuchTokenizer",
            "AutoTokenizer gives the ids of tokenizer.json for all of ",
            "Changed in {folder}, so that it does not depend on the class; the ids are as they were.",
        ),
        (3, "AutoTokenizer cannot load the folder (AttributeError: ", "Mended: {folder}; the ids are those of tokenizer.json for all of "),
    ],
)
def test_what_is_said_of_an_odd_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str], named: object, first: str, last: str) -> None:
    """A class that transformers does not know is passed over by it; a class that is no text ends its loading."""
    folder = write_hub_folder(tmp_path / "odd", HUB["SmolLM2"], small_base("SmolLM2").tokenizer.spec)
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": named}), encoding="utf-8")
    assert main(["tokenizer", "repair", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(first)
    assert any(line.startswith(last.format(folder=folder)) for line in lines)
    assert "the default of 3" not in "".join(lines)
