"""What `check` and `run` see in the texts of a recipe before any work: documents that are measured and trained on are told by their text."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from jp_adapt.cli.main import main
from jp_adapt.core.errors import InputError
from jp_adapt.model.architectures import KNOWN
from jp_adapt.pipeline import inputs
from jp_adapt.pipeline.inputs import check_inputs
from jp_adapt.recipe import base_sizes
from jp_adapt.recipe.held_out import document_keys
from jp_adapt.recipe.load import load_recipe
from tests.recipes import write_small_recipe


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("日本の首都", "日本の首都\n", True), ("ＡＢＣ　１", "ABC 1", True), ("a b", "ab", True), ("日本", "日本国", False), ("Abc", "abc", False)],
)
def test_documents_are_told_apart_by_their_text(one: str, other: str, same: bool) -> None:
    assert (document_keys([one]) == document_keys([other])) == same


def write(path: Path, *records: dict[str, object]) -> None:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")


def test_a_held_out_document_that_is_trained_on_under_another_id_is_told(pico: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = write_small_recipe(tmp_path, pico)
    trained = json.loads((tmp_path / "ja.jsonl").read_text(encoding="utf-8").splitlines()[0])
    write(tmp_path / "held.jsonl", {"id": "another", "text": f"{trained['text']}\n"}, {"id": trained.get("id"), "text": "新しい文。"})
    source = "sources.held={path: held.jsonl, language: ja, licence: CC0-1.0}".replace("held.jsonl", str(tmp_path / "held.jsonl"))
    settings = [source, "stages.cpt.heldout=[held, en]", "stages.eval.texts=[held]"]
    note = "source 'held' is measured, and 1 of its 2 documents stand in 'ja', which is trained on: its figures do not tell how the model reads new text"
    assert check_inputs(load_recipe(recipe, settings)) == [note]
    assert main(["check", str(recipe), *(part for setting in settings for part in ("-s", setting))]) == 0
    assert f"note: {note}\n" in capsys.readouterr().err
    write(tmp_path / "held.jsonl", {"id": trained.get("id"), "text": "新しい文。"})
    assert check_inputs(load_recipe(recipe, settings)) == [], "the same id alone says nothing"


def test_rows_longer_than_the_base_was_trained_for_are_refused(pico: Path, tmp_path: Path) -> None:
    recipe = write_small_recipe(tmp_path, pico)
    check_inputs(load_recipe(recipe, "stages.cpt.sequence_tokens=512"))
    message = r"stage 'cpt': sequence_tokens is 513, and the base was trained for texts of 512 \(max_position_embeddings, rope_scaling\); give that or fewer"
    with pytest.raises(InputError, match=message):
        check_inputs(load_recipe(recipe, "stages.cpt.sequence_tokens=513"))
    assert main(["check", str(recipe), "-s", "stages.cpt.sequence_tokens=513"]) == 3


def test_scaled_positions_count(pico: Path, tmp_path: Path) -> None:
    base = shutil.copytree(pico, tmp_path / "base")
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    config["rope_scaling"] = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512, "rope_theta": 10_000.0}
    config.pop("rope_parameters", None)
    (base / "config.json").write_text(json.dumps(config), encoding="utf-8")
    recipe = write_small_recipe(tmp_path, base)
    check_inputs(load_recipe(recipe, "stages.cpt.sequence_tokens=2048"))
    with pytest.raises(InputError, match="trained for texts of 2,048"):
        check_inputs(load_recipe(recipe, "stages.cpt.sequence_tokens=2049"))


def test_positions_of_a_gguf_count_where_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`check` does not open it, since numpy loads slowly; `run` does."""
    loaded = load_recipe("quickstart", "stages.cpt.sequence_tokens=8193")
    monkeypatch.setattr(base_sizes, "gguf_file", lambda *_: tmp_path / "base.gguf")
    monkeypatch.setattr(base_sizes, "from_gguf", lambda _: KNOWN["HuggingFaceTB/SmolLM2-135M"])
    monkeypatch.setattr(inputs, "_check_base", lambda _: None)
    assert check_inputs(loaded) == []
    with pytest.raises(InputError, match="sequence_tokens is 8,193, and the base was trained for texts of 8,192"):
        check_inputs(loaded, open_gguf=True)
