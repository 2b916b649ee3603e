"""A folder of other work is refused with the keys that differ."""

from __future__ import annotations

from pathlib import Path

import pytest

from jp_adapt.core.claim import refuse_other_work
from jp_adapt.core.errors import RunFolderError


def test_the_same_work_goes_on() -> None:
    refuse_other_work(Path("out"), {"seed": 1, "files": ["a"], "pair": [1, 2]}, {"seed": 1, "files": ["a"], "pair": (1, 2)}, "evaluation")


@pytest.mark.parametrize(
    ("recorded", "identity", "lines"),
    [
        ({"seed": 1}, {"seed": 2}, ["  seed: 1 there, 2 now"]),
        ({"model": {"name": "a", "sha256": "0" * 64}}, {"model": {"name": "a", "sha256": "1" * 64}}, ["  model.sha256"]),
        ({}, {"limit": 10}, ["  limit: None there, 10 now"]),
        ({"limit": 10}, {}, ["  limit: 10 there, None now"]),
        ({"text": "あ" * 99}, {"text": ""}, [f"  text: '{'あ' * 79}... there, '' now"]),
        ({str(at): 0 for at in range(20)}, {}, ["  0: 0 there, None now", "  and 8 more"]),
    ],
)
def test_other_work_is_named(recorded: dict[str, object], identity: dict[str, object], lines: list[str]) -> None:
    with pytest.raises(RunFolderError) as error:
        refuse_other_work(Path("out"), recorded, identity, "evaluation", "give another --out")
    given = str(error.value).split("\n")
    assert given[0] == "out: holds another evaluation; these settings differ:"
    assert given[-1] == "Give another --out"
    assert set(lines) <= set(given)
