"""A folder of other work is refused with the keys that differ."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from jp_adapt.core.claim import WorkRecord, refuse_folder, refuse_other_work
from jp_adapt.core.errors import RunFolderError


def test_the_same_work_goes_on() -> None:
    refuse_other_work(Path("out"), {"seed": 1, "files": ["a"], "pair": [1, 2]}, {"seed": 1, "files": ["a"], "pair": (1, 2)}, "evaluation")


@pytest.mark.parametrize(
    ("recorded", "identity", "lines"),
    [
        ({"seed": 1}, {"seed": 2}, ["  seed: 1 there, 2 now"]),
        ({"model": {"name": "a", "sha256": "0" * 64}}, {"model": {"name": "a", "sha256": "1" * 64}}, ["  model.sha256"]),
        ({}, {"limit": 10}, ["  limit: not given there, 10 now"]),
        ({"limit": 10}, {}, ["  limit: 10 there, not given now"]),
        ({"benchmarks": {"a": {"data": "x"}}}, {"benchmarks": {}}, ["  benchmarks.a: there, and not now"]),
        ({"benchmarks": {}}, {"benchmarks": {"a": {"data": "x"}}}, ["  benchmarks.a: not there, and now"]),
        ({"text": "あ" * 99}, {"text": ""}, [f"  text: '{'あ' * 79}... there, '' now"]),
        ({str(at): 0 for at in range(20)}, {}, ["  0: 0 there, not given now", "  and 8 more"]),
    ],
)
def test_other_work_is_named(recorded: dict[str, object], identity: dict[str, object], lines: list[str]) -> None:
    with pytest.raises(RunFolderError) as error:
        refuse_other_work(Path("out"), recorded, identity, "evaluation", "give another --out")
    given = str(error.value).split("\n")
    assert given[0] == "out: holds another evaluation; these settings differ:"
    assert given[-1] == "Give another --out"
    assert set(lines) <= set(given)


@dataclass(frozen=True)
class CountRecord(WorkRecord):
    FILE: ClassVar[str] = "count.json"
    WORK: ClassVar[str] = "count"
    WHAT: ClassVar[str] = "the record of a count"


def refuse(folder: Path, seed: int, *, results: bool) -> None:
    refuse_folder(folder, CountRecord, {"seed": seed}, results=results, before_results={".lock"})


def test_a_folder_is_held_by_its_first_result(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    refuse(tmp_path, 1, results=False)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(RunFolderError, match=r"is not empty, and holds no count; give another --out"):
        refuse(tmp_path, 1, results=False)
    CountRecord({"seed": 1}).write(tmp_path / "count.json")
    refuse(tmp_path, 2, results=False)
    refuse(tmp_path, 1, results=True)
    with pytest.raises(RunFolderError, match=r"holds another count; these settings differ:\n  seed: 1 there, 2 now\nGive another --out"):
        refuse(tmp_path, 2, results=True)
