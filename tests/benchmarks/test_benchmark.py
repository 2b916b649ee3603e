"""Benchmark declarations: the shipped one is fair, and a wrong one is refused with its line."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from jp_adapt.benchmarks.items import load_benchmark
from jp_adapt.core.errors import InputError, UsageError

DECLARATION = """\
format: 1
kind: multiple_choice
version: "1"
title: Test
licence: CC0-1.0
source: here
language: ja
data:
  test: {files: [items.jsonl], reader: jsonl}
id: "{{ id }}"
group: "{{ category | default('') }}"
choices: choices
answer: answer
protocols:
  jp-adapt:
    prompt: "問い：{{ question }}"
    metrics: [accuracy]
"""
ITEM: dict[str, Any] = {"id": "a", "question": "何？", "choices": ["一", "二"], "answer": 1}


def _write(folder: Path, items: list[Any], declaration: str = DECLARATION) -> str:
    (folder / "bench.yaml").write_text(declaration, encoding="utf-8")
    lines = [item if isinstance(item, str) else json.dumps(item, ensure_ascii=False) for item in items]
    (folder / "items.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(folder / "bench.yaml")


def test_the_shipped_benchmark_is_balanced() -> None:
    loaded = load_benchmark("quickstart/ja-everyday-100")
    assert len(loaded.items) == 100
    assert Counter(item.answer for item in loaded.items) == {0: 25, 1: 25, 2: 25, 3: 25}
    assert all(len(item.choices) == len(set(item.choices)) == 4 for item in loaded.items)
    assert all(choice.strip() == choice != "" for item in loaded.items for choice in item.choices)
    assert len({item.id for item in loaded.items}) == len({item.fields["question"] for item in loaded.items}) == 100
    assert set(Counter(item.group for item in loaded.items).values()) == {10}
    file = loaded.path.with_suffix(".jsonl")
    assert loaded.sha256 == {file.name: hashlib.sha256(file.read_bytes()).hexdigest()}


def test_a_file_of_ones_own_loads_and_blank_lines_are_skipped(tmp_path: Path) -> None:
    loaded = load_benchmark(_write(tmp_path, [ITEM, "", {**ITEM, "id": "b", "category": "food"}]))
    assert [(item.id, item.group, item.answer) for item in loaded.items] == [("a", "", 1), ("b", "food", 1)]
    assert loaded.benchmark.protocols["jp-adapt"].prompt == "問い：{{ question }}"


def test_files_are_known_by_their_hashes(tmp_path: Path) -> None:
    _write(tmp_path, [ITEM])
    (tmp_path / "more.jsonl").write_text(json.dumps({**ITEM, "id": "b"}), encoding="utf-8")
    entry = hashlib.sha256((tmp_path / "items.jsonl").read_bytes()).hexdigest()
    lines = "".join(f"{hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()}  {name}\n" for name in ("items.jsonl", "more.jsonl"))
    both = hashlib.sha256(lines.encode()).hexdigest()
    split = "test: {files: [items.jsonl], reader: jsonl}"
    for declared, changed in (
        (split, None),
        (f"test: {{files: [items.jsonl], reader: jsonl, sha256: {entry}}}", []),
        (f"test: {{files: [items.jsonl, more.jsonl], reader: jsonl, sha256: {both}}}", []),
        (f"test: {{files: [items.jsonl, more.jsonl], reader: jsonl, sha256: {entry}}}", ["items.jsonl"]),
    ):
        (tmp_path / "bench.yaml").write_text(DECLARATION.replace(split, declared), encoding="utf-8")
        assert load_benchmark(str(tmp_path / "bench.yaml")).changed == changed


def test_a_line_separator_inside_a_text_is_no_new_line(tmp_path: Path) -> None:
    question = "前\u2028後\u0085末"
    assert load_benchmark(_write(tmp_path, [{**ITEM, "question": question}])).items[0].fields["question"] == question


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([ITEM, {key: value for key, value in ITEM.items() if key != "answer"} | {"id": "b"}], ":2: expression 'answer' has no value; fields: "),
        ([ITEM, {**ITEM, "id": "b"}, ITEM], ":3: id 'a' stands in "),
        ([ITEM, "", {**ITEM, "id": "b", "answer": 2}], ":3: answer is 2, and there are choices 0 to 1"),
        ([{**ITEM, "answer": -1}], ":1: answer is -1, and there are"),
        ([{**ITEM, "answer": "1"}], ":1: answer is '1', and there are"),
        ([{**ITEM, "answer": True}], ":1: answer is True, and there are"),
        ([{**ITEM, "choices": ["一", "一"]}], ":1: two choices are the same text"),
        ([{**ITEM, "choices": ["一", ""]}], ":1: choice 2 of 2 is empty"),
        ([{**ITEM, "choices": ["一"], "answer": 0}], ":1: a question needs at least two choices"),
        ([{**ITEM, "choices": "一二"}], ":1: 'choices' is not a list of texts, but '一二'"),
        ([{**ITEM, "question": ""}], ":1: the question is empty"),
        ([{key: value for key, value in ITEM.items() if key != "question"}], ":1: template '{{ question }}' cannot be filled in ('question' is undefined)"),
        ([ITEM, "{"], ":2: not valid JSON"),
        (["[1]"], ":1: not a JSON object"),
        ([""], ": no items"),
    ],
)
def test_a_wrong_item_is_an_input_error_with_its_line(tmp_path: Path, items: list[Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        load_benchmark(_write(tmp_path, items))
    assert str(caught.value).startswith(f"{tmp_path / 'items.jsonl'}{message}")


def test_a_missing_file_of_items(tmp_path: Path) -> None:
    name = _write(tmp_path, [ITEM])
    (tmp_path / "items.jsonl").unlink()
    with pytest.raises(InputError, match=r"items\.jsonl: no such file"):
        load_benchmark(name)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title: Test", "titel: Test", r"bench\.yaml:4: titel: unknown key \(did you mean 'title'\?\)"),
        ("title: Test\n", "", r"bench\.yaml:1: title: the key is missing"),
        ("language: ja", "language: fr", r"bench\.yaml:7: language: 'ja' or 'en' is needed"),
        ("{{ question }}", "{{ question", r"bench\.yaml:16: protocols\.jp-adapt\.prompt: not a Jinja template"),
        ("answer: answer", "answer: answer +", r"bench\.yaml:13: answer: not a Jinja expression"),
        ("answer: answer\n", "", r"bench\.yaml:1: the declaration: a multiple_choice benchmark needs 'choices' and 'answer'"),
        ("metrics: [accuracy]", "metrics: [acuracy]", r"bench\.yaml:17: protocols\.jp-adapt\.metrics\.0: no metric 'acuracy' \(did you mean 'accuracy'\?\)"),
        ("metrics: [accuracy]", "metrics: [rouge1]", r"multiple_choice is scored by other metrics than rouge1"),
        ("metrics: [accuracy]", "metrics: [accuracy]\n    shot: 3", r"bench\.yaml:18: protocols\.jp-adapt\.shot: unknown key \(did you mean 'shots'\?\)"),
        ("metrics: [accuracy]", "metrics: [accuracy]\n    shots: 3", r"shots is 3, and data has no 'shots' to draw examples from"),
        ("jp-adapt:", "lm-eval-ja:", r"'protocols' needs 'jp-adapt'"),
        ("format: 1", "format: 1\nformat: 1", r"bench\.yaml:2: key 'format' stands here and in line 1"),
    ],
)
def test_a_wrong_declaration_is_a_usage_error_with_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert DECLARATION.count(old) == 1
    with pytest.raises(UsageError, match=message):
        load_benchmark(_write(tmp_path, [ITEM], DECLARATION.replace(old, new)))


def test_an_unknown_name() -> None:
    with pytest.raises(UsageError, match=r"no benchmark 'quickstart/ja-every-100' \(did you mean 'quickstart/ja-everyday-100'\?\); `jp-adapt list` names"):
        load_benchmark("quickstart/ja-every-100")
