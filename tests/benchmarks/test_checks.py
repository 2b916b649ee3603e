"""Checks of a declaration: what an item may ask for, and what is said of one that asks for something else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jp_adapt.benchmarks.checks import check_texts
from jp_adapt.benchmarks.items import load_benchmark
from jp_adapt.core.errors import InputError, UsageError

DECLARATION = """\
format: 1
kind: generate
version: "1"
title: Test
license: CC0-1.0
source: here
language: ja
data:
  test: {files: [items.jsonl], reader: jsonl}
checks: {names: names, arguments: arguments}
protocols:
  jp-adapt:
    prompt: "{{ question }}"
    max_chars: 100
    metrics: [prompt_level_strict_acc]
"""


def _load(folder: Path, names: Any, arguments: Any, declaration: str = DECLARATION) -> list[str]:
    (folder / "bench.yaml").write_text(declaration, encoding="utf-8")
    (folder / "items.jsonl").write_text(json.dumps({"question": "何？", "names": names, "arguments": arguments}), encoding="utf-8")
    return load_benchmark(str(folder / "bench.yaml")).items[0].answers


def test_the_checks_of_an_item_stand_where_its_right_answers_would(tmp_path: Path) -> None:
    checks = _load(tmp_path, ["punctuation:no_comma", "text:contains"], [{"num_words": None}, {"words": ["犬"]}])
    assert [json.loads(check) for check in checks] == [{"check": "punctuation:no_comma"}, {"check": "text:contains", "words": ["犬"]}]


@pytest.mark.parametrize(
    ("names", "arguments", "message"),
    [
        (["punctuation:no_coma"], [{}], r"no check 'punctuation:no_coma' \(did you mean 'punctuation:no_comma'\?\)"),
        ([], [], "a list of names is needed, with one at least"),
        ("punctuation:no_comma", [{}], "a list of names is needed"),
        (["punctuation:no_comma"], [], "a list of 1 is needed, one for each check"),
        (["punctuation:no_comma"], [1], "'punctuation:no_comma': its arguments are '1'; names and values are needed"),
        (["punctuation:no_comma"], [{"a": 1}], "its arguments are a; it takes none"),
        (["text:chars"], [{"least": 1}], "its arguments are least; it takes least, most"),
        (["text:chars"], [{"least": 1, "most": "2"}], "most is '2'; a whole number is needed"),
        (["text:chars"], [{"least": 1, "most": True}], "most is 'True'; a whole number is needed"),
        (["text:lacks"], [{"words": [1]}], r"words is '\[1\]'; a list of texts is needed"),
        (["ja:letters:kanji"], [{"kanji_limit": 3, "relation": "at least"}], "relation is 'at least'; '未満' or '以上' is needed"),
    ],
)
def test_a_wrong_check_is_told_with_its_place(tmp_path: Path, names: Any, arguments: Any, message: str) -> None:
    with pytest.raises(InputError, match=rf"items\.jsonl:1: .*{message}"):
        _load(tmp_path, names, arguments)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("prompt_level_strict_acc", "exact_match", "exact_match: checks are scored by metrics of their own"),
        ("checks: {names: names, arguments: arguments}", "answers: names", "prompt_level_strict_acc: checks are scored by metrics of their own"),
        ("checks: {", "answers: names\nchecks: {", "'checks' stands in a generate benchmark, in place of 'answers'"),
        ("checks: {names: names, arguments: arguments}\n", "", "a generate benchmark needs 'answers' or 'checks'"),
    ],
)
def test_checks_and_answers_do_not_mix(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        _load(tmp_path, ["punctuation:no_comma"], [{}], DECLARATION.replace(old, new))


def test_null_arguments_are_none() -> None:
    assert check_texts(["ja:punctuation:no_comma"], [{"relation": None}]) == ['{"check": "ja:punctuation:no_comma"}']
