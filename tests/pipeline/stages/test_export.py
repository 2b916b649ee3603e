"""The export stage: formats beside the folder's own."""

from __future__ import annotations

import json

import pytest

from jp_adapt.cli.main import main
from jp_adapt.core.errors import UsageError
from jp_adapt.export import llama_cpp
from jp_adapt.model.gguf_file import GgufFile
from jp_adapt.recipe.load import load_recipe
from tests.recipes import write_small_recipe


def recipe(folder, pico, export: str):
    path = write_small_recipe(folder, pico)
    text = path.read_text(encoding="utf-8")
    text = text[: text.index("  - id: cpt")] + f"  - {{id: model, kind: export, start: rows, {export}}}\n"
    path.write_text(text, encoding="utf-8")
    return path


def test_gguf_files_lie_in_the_exported_folder(pico, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(llama_cpp, "missing_extra", lambda extra: f"{extra} is away")
    path = recipe(tmp_path / "recipe", pico, "formats: [gguf], gguf_types: [F16, Q8_0]")
    assert main(["run", str(path), "--out", str(tmp_path / "run")]) == 0
    final = tmp_path / "run" / "stages" / "model" / "final"
    assert sorted(file.name for file in final.glob("*.gguf")) == ["small-model-F16.gguf", "small-model-Q8_0.gguf"]
    file = GgufFile(final / "small-model-F16.gguf")
    assert file.fields["general.name"] == "small-model"
    assert len(file.fields["tokenizer.ggml.tokens"]) == json.loads((final / "config.json").read_text(encoding="utf-8"))["vocab_size"]
    written = json.loads((tmp_path / "run" / "stages" / "model" / "stage.json").read_text(encoding="utf-8"))["results"]["gguf"]
    assert [(entry["file"], entry["type"]) for entry in written] == [("small-model-F16.gguf", "F16"), ("small-model-Q8_0.gguf", "Q8_0")]
    assert written[0]["proven"] == ["fields, tokens and weights, read back", "not checked in llama.cpp: gguf is away"]


@pytest.mark.parametrize(
    ("export", "message"),
    [
        ("formats: [onnx]", "'gguf'"),
        ("formats: [gguf], gguf_types: [Q4_K]", "gguf_types.0 is 'Q4_K': 'auto', 'F32', "),
        ("formats: [gguf], gguf_types: []", "at least one entry is needed"),
        ("gguf_types: [F16]", r"gguf_types is of no use without formats: \[gguf\]"),
    ],
)
def test_a_wrong_format_is_told_before_anything_runs(pico, tmp_path, export, message):
    with pytest.raises(UsageError, match=message):
        load_recipe(recipe(tmp_path, pico, export))


def test_a_type_that_cannot_be_made_here_is_told_before_anything_runs(pico, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("jp_adapt.core.extras.find_spec", lambda name: None)
    path = recipe(tmp_path / "recipe", pico, "formats: [gguf], gguf_types: [F16, Q4_K_M]")
    assert main(["run", str(path), "--out", str(tmp_path / "run")]) == 2
    assert "stage 'model' (export): xllamacpp is not installed; pip install 'jp-adapt[gguf]'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
