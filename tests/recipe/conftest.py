"""A right recipe, to be changed."""

from __future__ import annotations

from pathlib import Path

import pytest

RIGHT = """\
format: 1
name: small
base: {path: base}
sources:
  ja: {path: ja.jsonl, language: ja, licence: CC0-1.0}
  en: {path: en.jsonl, language: en, licence: CC0-1.0}
stages:
  - {id: tok, kind: tokenizer, corpus: [ja], new_tokens: 10}
  - id: rows
    kind: rows
    start: tok
    data: [{source: ja}]
    budget: {tokens: 100}
  - id: cpt
    kind: pretrain
    start: rows
    data:
      - {source: ja, weight: 0.9}
      - {source: en, weight: 0.1}
    budget: {epochs: 0.5}
    optimizer: {lr: 1e-3}
  - {id: model, kind: export, start: cpt}
  - {id: eval, kind: evaluate, models: [base, model], texts: [ja]}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a right recipe, `recipe.yaml`, and the files that it names."""
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_text("{}", encoding="utf-8")
    (tmp_path / "base" / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    for name in ("ja.jsonl", "en.jsonl"):
        (tmp_path / name).write_text('{"text": "日本"}\n', encoding="utf-8")
    (tmp_path / "recipe.yaml").write_text(RIGHT, encoding="utf-8")
    return tmp_path
