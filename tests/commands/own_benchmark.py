"""A benchmark of one's own: twelve sums, and two wordings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MINE = """\
format: 1
kind: multiple_choice
version: "1"
title: Mine
licence: CC0-1.0
source: here
language: ja
data:
  test: {files: [items.jsonl], reader: jsonl}
id: "{{ id }}"
choices: choices
answer: answer
protocols:
  jp-adapt:
    prompt: "問い：{{ question }}\\n答え："
    metrics: [accuracy]
    variants:
      short: {prompt: "{{ question }}"}
"""


def mine(folder: Path, items: list[dict[str, Any]] | None = None) -> str:
    items = items or [{"id": f"m{n}", "question": f"{n}と{n}では？", "choices": [str(2 * n), str(n)], "answer": 0} for n in range(1, 13)]
    (folder / "mine.yaml").write_text(MINE, encoding="utf-8")
    (folder / "items.jsonl").write_text("".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items), encoding="utf-8")
    return str(folder / "mine.yaml")
