"""Needles stand where they are said to stand, in haystacks as long as they are said to be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.benchmarks.benchmark import Split
from jp_adapt.benchmarks.files import read_split
from jp_adapt.benchmarks.haystack import Haystack, haystack_records
from jp_adapt.benchmarks.items import load_declaration
from jp_adapt.core.errors import InputError, UsageError

TEXT = "".join(f"{n}番目の文は、これである。" for n in range(500))
PLAIN: dict[str, Any] = {"lengths": [200, 1000], "depths": [0, 50, 100], "trials": 2, "needle": "{key}は{value}。", "keys": ["犬", "猫"]}


def _records(text: str = TEXT, **changes: Any) -> list[dict[str, Any]]:
    return haystack_records(text, Haystack.model_validate(PLAIN | changes))


def test_each_length_depth_and_trial_is_a_haystack_with_its_needle_once() -> None:
    records = _records()
    assert [(record["length"], record["depth"], record["trial"]) for record in records][:7] == [
        *((200, depth, trial) for depth in (0, 50, 100) for trial in (0, 1)),
        (1000, 0, 0),
    ]
    for record in records:
        text, needle = record["haystack"], record["needle"]
        assert len(text) == record["length"]
        assert needle == f"{record['key']}は{record['value']}。"
        assert text.count(needle) == 1
        assert text.replace(needle, "") in TEXT
        assert {0: text.startswith(needle), 50: 0.4 < text.index(needle) / len(text) < 0.7, 100: text.endswith(needle)}[record["depth"]]
    assert len({record["needle"] for record in records}) == len(records)


def test_a_needle_breaks_no_sentence() -> None:
    for record in _records(depths=[10, 33, 77], trials=5):
        before = record["haystack"].partition(record["needle"])[0]
        assert before.endswith("。")


def test_other_lengths_beside_one_change_nothing_and_another_seed_does() -> None:
    first = _records(lengths=[200])
    assert _records(lengths=[1000, 200])[-len(first) :] == first
    assert _records(lengths=[200], seed=1) != first


@given(st.integers(10, 300), st.integers(0, 100), st.integers(0, 9))
def test_any_cell_of_any_grid(length: int, depth: int, seed: int) -> None:
    (record,) = _records(lengths=[length], depths=[depth], trials=1, seed=seed)
    assert len(record["haystack"]) == length
    assert record["needle"] in record["haystack"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lengths": [9000]}, "a haystack of 9,000 characters needs a text as long; this one has"),
        ({"lengths": [3]}, "a haystack of 3 characters is shorter than its needle"),
        ({"lengths": [10**9]}, "6,000,000,000 characters together; at most 500,000,000 are made"),
    ],
)
def test_what_cannot_be_made(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _records(**{**PLAIN, **changes})


def test_the_reader_takes_all_files_together_and_names_the_first(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(TEXT[:600], encoding="utf-8")
    (tmp_path / "b.txt").write_text(TEXT[:600], encoding="utf-8")
    split = Split.model_validate({"files": ["*.txt"], "reader": "haystack", "haystack": PLAIN})
    assert len(read_split(split, tmp_path).records) == 12
    (tmp_path / "b.txt").unlink()
    with pytest.raises(InputError, match=r"a\.txt: a haystack of 1,000 characters needs a text as long; this one has 600"):
        read_split(split, tmp_path)


def test_the_reader_and_what_it_makes_go_together(tmp_path: Path) -> None:
    text = json.dumps(load_declaration("ja/niah-ja")[0].model_dump(mode="json", exclude_none=True, exclude={"hub", "profiles"}), ensure_ascii=False)
    (tmp_path / "x.yaml").write_text(text.replace('"reader": "haystack"', '"reader": "lines"'), encoding="utf-8")
    with pytest.raises(UsageError, match="reader haystack needs 'haystack'"):
        load_declaration(str(tmp_path / "x.yaml"))
