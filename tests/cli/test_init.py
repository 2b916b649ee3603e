"""`jp-adapt init`: a recipe from a base, texts and conversations, which is right as it stands."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from jp_adapt.cli.main import main
from jp_adapt.recipe.load import load_recipe
from jp_adapt.recipe.schema import EvaluateStage, PretrainStage, SftStage, TokenizerStage
from tests.conftest import QUICKSTART, ROOT


@pytest.fixture
def folder(tmp_path: Path, pico: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a base, Japanese and English text and conversations; it is the working folder."""
    shutil.copytree(pico, tmp_path / "base")
    for name, source in (("ja", QUICKSTART / "ja_train.jsonl"), ("en", QUICKSTART / "en_train.jsonl")):
        shutil.copy(source, tmp_path / f"{name}.jsonl")
    shutil.copy(ROOT / "recipes" / "data" / "sft" / "ja_instructions.jsonl", tmp_path / "chats.jsonl")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_everything_is_given(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--base", "base", "--texts", "ja.jsonl", "--english", "en.jsonl", "--chats", "chats.jsonl"]
    assert main(["init", "mine.yaml", *given]) == 0
    out = capsys.readouterr().out
    assert "tok (tokenizer) -> cpt (pretrain) -> sft (sft) -> model (export) -> eval (evaluate)" in out
    assert main(["check", "mine.yaml"]) == 0
    recipe = load_recipe(Path("mine.yaml")).recipe
    assert recipe.name == "mine"
    assert {source.heldout for source in recipe.sources.values()} == {0.01}
    tokenizer, pretrain, sft, _, evaluate = recipe.stages
    assert isinstance(tokenizer, TokenizerStage)
    assert (tokenizer.corpus, tokenizer.unchanged, tokenizer.new_tokens) == (["ja"], ["en"], 300)
    assert isinstance(pretrain, PretrainStage)
    assert [(item.source, item.weight) for item in pretrain.data] == [("ja", 0.9), ("en", 0.1)]
    assert isinstance(sft, SftStage)
    assert (sft.template, sft.sequence_tokens, sft.heldout) == ("alpaca-ja", 512, ["chat", "ja", "en"])  # the base has no template, and 512 positions
    assert isinstance(evaluate, EvaluateStage)
    assert evaluate.texts == ["ja", "en"]


def test_a_recipe_says_paths_so_that_its_folder_can_move(folder: Path) -> None:
    assert main(["init", "mine.yaml", "--base", "base", "--texts", "ja.jsonl", str(QUICKSTART / "ja_heldout.jsonl")]) == 0
    text = (folder / "mine.yaml").read_text(encoding="utf-8")
    assert "path: base}" in text
    assert "ja: {path: ja.jsonl, " in text
    assert f"ja_2: {{path: {QUICKSTART / 'ja_heldout.jsonl'}, " in text


def test_chats_alone_and_no_new_tokens(folder: Path) -> None:
    assert main(["init", "chats.yaml", "--base", "base", "--chats", "chats.jsonl"]) == 0
    assert [(stage.kind, getattr(stage, "start", None)) for stage in load_recipe(Path("chats.yaml")).recipe.stages[:2]] == [("sft", "base"), ("export", "sft")]
    assert main(["init", "plain.yaml", "--base", "base", "--texts", "ja.jsonl", "--new-tokens", "0"]) == 0
    assert [stage.kind for stage in load_recipe(Path("plain.yaml")).recipe.stages] == ["pretrain", "export", "evaluate"]


def test_names_that_yaml_reads_otherwise(folder: Path) -> None:
    odd = folder / "a, b: {ふみ}.jsonl"
    shutil.copy(folder / "ja.jsonl", odd)
    assert main(["init", "yes.yaml", "--base", "base", "--texts", odd.name]) == 0
    recipe = load_recipe(Path("yes.yaml")).recipe
    assert (recipe.name, recipe.sources["ja"].path) == ("yes", str(odd))
    assert "ふみ" in Path("yes.yaml").read_text(encoding="utf-8")


def test_a_recipe_ends_in_yaml_and_commands_are_quoted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "mine.txt", "--base", "base", "--texts", "ja.jsonl"]) == 2
    assert "mine.txt: a recipe is a file that ends in .yaml; give mine.txt.yaml" in capsys.readouterr().err
    assert main(["init", "my own.yaml", "--base", "base", "--texts", "ja.jsonl"]) == 0
    assert "jp-adapt plan 'my own.yaml'\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "code", "message"),
    [
        (["--base", "base"], 2, "give --texts FILE (Japanese text), --chats FILE (conversations), or both"),
        (["--base", "base", "--texts", "nothing.jsonl"], 3, "nothing.jsonl: no such file"),
        (["--base", "nothing", "--texts", "ja.jsonl"], 3, "--base nothing: no such folder or GGUF file, no shipped recipe, and not ORG/NAME of the hub"),
        (["--base", "org/name@main", "--texts", "ja.jsonl"], 3, "org/name@main: the hub does not say which commit that is"),
        (["--base", "ja.jsonl", "--texts", "ja.jsonl"], 3, "not a GGUF file"),
        (["--base", "base", "--texts", "short.jsonl"], 3, "short.jsonl: 1 distinct document, and one must stay for training"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(folder: Path, given: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "short.jsonl").write_text('{"text": "同じ"}\n' * 2, encoding="utf-8")
    assert main(["init", "mine.yaml", *given]) == code
    assert message in capsys.readouterr().err
    assert not (folder / "mine.yaml").exists()


def test_nothing_held_out(folder: Path) -> None:
    assert main(["init", "mine.yaml", "--base", "base", "--texts", "ja.jsonl", "--chats", "chats.jsonl", "--heldout", "0"]) == 0
    recipe = load_recipe(Path("mine.yaml")).recipe
    assert {source.heldout for source in recipe.sources.values()} == {None}
    assert [getattr(stage, "heldout", getattr(stage, "texts", [])) for stage in recipe.stages] == [[], [], [], [], []]
    assert "# Nothing is held out, so the report cannot say" in Path("mine.yaml").read_text(encoding="utf-8")


def test_files_that_are_given_twice_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy("ja.jsonl", "copy.jsonl")
    assert main(["init", "mine.yaml", "--base", "base", "--texts", "ja.jsonl", "./ja.jsonl", "copy.jsonl", "--english", "en.jsonl"]) == 0
    said = capsys.readouterr().err
    assert "note: ja.jsonl is given twice with --texts; it is read once\n" in said
    assert "note: copy.jsonl (--texts) holds the same as ja.jsonl (--texts); its text has twice the weight\n" in said
    assert "en.jsonl" not in said


def test_nothing_is_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "mine.yaml").write_text("my work", encoding="utf-8")
    assert main(["init", "mine.yaml", "--base", "base", "--texts", "ja.jsonl"]) == 2
    assert "mine.yaml: exists already" in capsys.readouterr().err
    assert (folder / "mine.yaml").read_text(encoding="utf-8") == "my work"


def test_the_field_and_the_schema_for_an_editor(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = Path("ja.jsonl").read_text(encoding="utf-8").replace('"text":', '"body":')
    Path("body.jsonl").write_text(lines, encoding="utf-8")
    assert main(["init", "mine.yaml", "--base", "base", "--texts", "body.jsonl", "--field", "body"]) == 0
    assert load_recipe(Path("mine.yaml")).recipe.sources["ja"].field == "body"
    first = Path("mine.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=recipe.schema.json"
    assert '"title": "Recipe"' in Path("recipe.schema.json").read_text(encoding="utf-8")
    assert main(["init", "other.yaml", "--base", "base", "--texts", "ja.jsonl"]) == 0, "beside the schema that is there"


def test_no_recipe_file_and_shares_that_are_none(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--base", "base", "--texts", "ja.jsonl"]
    assert main(["init", "", *given]) == 2
    assert "no recipe file is named; give FILE.yaml" in capsys.readouterr().err
    for option, value, message in (
        ("--heldout", "1", "'1' is not a share below 1: something must stay to learn from"),
        ("--new-tokens", "-3", "'-3' is not a whole number of at least 0"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main(["init", "mine.yaml", *given, option, value])
        assert message in capsys.readouterr().err


def test_a_field_that_holds_no_text_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for value in ("5", "null"):
        (folder / "odd.jsonl").write_text(f'{{"text": {value}}}\n', encoding="utf-8")
        assert main(["init", "mine.yaml", "--base", "base", "--texts", "odd.jsonl"]) == 3
        assert f"odd.jsonl:1: field 'text' is {value}, and text is needed" in capsys.readouterr().err


def test_a_tokenizer_that_cannot_be_extended_stays_as_it_is_and_it_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "base" / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"normalizer": {"type": "NFC"}}), encoding="utf-8")
    given = ["--base", "base", "--texts", "ja.jsonl"]
    assert main(["init", "asked.yaml", *given, "--new-tokens", "50"]) == 3
    assert "can be extended; leave the tokenizer stage out (init --new-tokens 0) to train with it as it is" in capsys.readouterr().err
    assert main(["init", "mine.yaml", *given]) == 0
    assert f"note: no new tokens are added: {path}: its normalizer (NFC) changes a text" in capsys.readouterr().err
    assert [stage.kind for stage in load_recipe(Path("mine.yaml")).recipe.stages] == ["pretrain", "export", "evaluate"]
    path.write_text("{}", encoding="utf-8")
    assert main(["init", "broken.yaml", *given]) == 3
    assert not Path("broken.yaml").exists()
