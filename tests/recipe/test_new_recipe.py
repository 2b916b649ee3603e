"""The text of a first recipe; tests/cli/test_init.py has the whole command."""

from __future__ import annotations

import json
from pathlib import Path

from jp_adapt.recipe.new_recipe import RecipeParts, recipe_text


def texts(folder: Path, chars: int) -> str:
    path = folder / "ja.jsonl"
    path.write_text(json.dumps({"text": "日" * chars}, ensure_ascii=False) + "\n", encoding="utf-8")
    return str(path)


def test_the_base_of_a_shipped_recipe(tmp_path: Path) -> None:
    text = recipe_text(RecipeParts("elyza-llama2-7b-fast", texts=(texts(tmp_path, 10),)), tmp_path / "mine.yaml")
    assert "base: {model: meta-llama/Llama-2-7b-hf, revision: " in text
    assert "optimizer: {lr: 2.0e-4, new_rows_lr: 4.0e-4}" in text  # a model of billions of parameters learns at a lower rate


def test_new_tokens_by_the_size_of_the_text(tmp_path: Path) -> None:
    for chars, number in ((1000, 200), (1_000_000, 2000), (1_234_567, 2400), (20_000_000, 16_000)):
        text = recipe_text(RecipeParts("quickstart", texts=(texts(tmp_path, chars),)), tmp_path / "mine.yaml")
        assert f"new_tokens: {number}}}" in text, chars
    assert "new_rows_whitening: true, shared_rows_lr: " in text  # a small model, as it was measured
