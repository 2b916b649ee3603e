"""More small invented files in the layout of the upstream repositories (see `benchmark_files`): instructions, exact answers, knowledge, safety."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NUM = 12
WORDS = ["犬", "猫", "鳥", "魚", "馬", "牛", "羊", "豚", "鹿", "熊", "狐", "狸"]


def _jsonl(path: Path, records: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")


def _instructions(root: Path) -> None:
    names = [["ja:punctuation:no_comma"], ["ja:letters:kanji", "ja:keywords:existence"]]
    arguments: list[list[dict[str, Any]]] = [[{}], [{"kanji_limit": 3, "relation": "以上"}, {"keywords": ["犬"]}]]
    rows = [{"key": n, "prompt": f"{WORDS[n]}について書いてください。", "instruction_id_list": names[n % 2], "kwargs": arguments[n % 2]} for n in range(NUM)]
    _jsonl(root / "m-ifeval/data/ja_input_data.jsonl", rows)
    rows = [{"key": n, "prompt": f"Write {n}.", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]} for n in range(NUM)]
    _jsonl(root / "ifeval/instruction_following_eval/data/input_data.jsonl", rows)


def write_more_files(root: Path) -> None:
    """All of them, below `root`."""
    for writer in (_instructions,):
        writer(root)
