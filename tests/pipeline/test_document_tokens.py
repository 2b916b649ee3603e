"""The folder that a run makes of a GGUF base says which tokens the run puts around documents."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from jp_adapt.inference.text_side import FACTS, read_facts, text_side
from jp_adapt.pipeline.run import _run_base
from jp_adapt.pipeline.run_folder import Identity, RunFolder
from jp_adapt.recipe.document_tokens import document_end, document_start
from jp_adapt.recipe.load import load_recipe

RECIPE = """\
format: 1
name: from-gguf
base: {file: base.gguf, document_start: %s}
precision: float32
sources: {ja: {path: ja.jsonl, language: ja, licence: private}}
stages: [{id: eval, kind: evaluate, models: [base], texts: [ja]}]
"""


def test_the_base_of_a_run_begins_documents_as_the_run_does(pico: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, other = "<|endoftext|>", "<|im_start|>"

    def convert(gguf: Path, folder: Path) -> None:
        shutil.copytree(pico, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.safetensors"))
        spec = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        spec["added_tokens"].append(spec["added_tokens"][0] | {"id": len(spec["model"]["vocab"]), "content": other})
        spec["model"]["vocab"][other] = len(spec["model"]["vocab"])
        (folder / "tokenizer.json").write_text(json.dumps(spec), encoding="utf-8")

    monkeypatch.setattr("jp_adapt.export.gguf_folder.convert_gguf", convert)
    (tmp_path / "base.gguf").touch()
    (tmp_path / "ja.jsonl").touch()

    def base_of(start: str, done: list[str]) -> Path:
        (tmp_path / "recipe.yaml").write_text(RECIPE % (start if start == "null" else f"'{start}'"), encoding="utf-8")
        recipe = load_recipe(tmp_path / "recipe.yaml").recipe
        folder = _run_base(RunFolder(tmp_path / "run"), Identity({}), tmp_path / "base.gguf", recipe, done)
        assert text_side(folder).document_start == document_start(recipe.base, folder) == (own if start == "null" else start)
        assert read_facts(folder).document_end == document_end(recipe.base, folder)
        return folder

    done: list[str] = []
    folder = base_of(other, done)
    (folder / FACTS).unlink()  # as an earlier version left it
    base_of(other, done)
    written = (folder / FACTS).stat().st_mtime_ns
    base_of(other, done)
    assert (folder / FACTS).stat().st_mtime_ns == written, "it says so already"
    base_of("null", done)  # the recipe no longer names a token: what it named once is not the base's own
    assert done == ["base"]
