"""Small recipes for tests."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import documents

SMALL = """\
format: 1
name: small
base: {{path: {base}}}
seed: 7
precision: float32
sources:
  ja: {{path: ja.jsonl, language: ja, licence: Apache-2.0}}
  en: {{path: en.jsonl, language: en, licence: Apache-2.0}}
stages:
  - {{id: tok, kind: tokenizer, corpus: [ja], unchanged: [en], new_tokens: 60}}
  - id: rows
    kind: rows
    start: tok
    data: [{{source: ja, weight: 0.8}}, {{source: en, weight: 0.2}}]
    budget: {{tokens: 2500}}
    sequence_tokens: 64
    batch_tokens: 128
    checkpoint_every: 3
    heldout: [ja, en]
    heldout_chars: 100
    heldout_every: 5
  - id: cpt
    kind: pretrain
    start: rows
    data: [{{source: ja, weight: 0.8}}, {{source: en, weight: 0.2}}]
    budget: {{tokens: 2500}}
    sequence_tokens: 64
    batch_tokens: 128
    checkpoint_every: 3
    lora: {{rank: 4, alpha: 8}}
  - {{id: model, kind: export, start: cpt}}
  - id: eval
    kind: evaluate
    models: [base, model]
    texts: [ja, en]
    benchmarks: [quickstart/ja-everyday-100]
    limit: 30
    segment: [今日は雨です。]
    samples: {{prompts: [今日は], max_chars: 8}}
"""


def write_small_recipe(folder: Path, base: Path) -> Path:
    """`folder/small.yaml` with its texts: all stages of the quickstart on a small model, in a few seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, texts in (("ja", documents("ja_train.jsonl")[:15]), ("en", documents("en_train.jsonl")[:3])):
        lines = [json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts]
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    path = folder / "small.yaml"
    path.write_text(SMALL.format(base=base), encoding="utf-8")
    return path
