"""A small, seeded part of `make faults`: every kind of odd input, and the commands without a model stopped, starved and shut out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.campaign import try_inputs
from tests.faults.inputs import KINDS
from tests.faults.kills import jobs, try_job
from tests.faults.runner import Outcome, run
from tests.faults.world import World, make_base, make_world
from tests.judge_server import judge_server

QUICK = [name for name in KINDS if name not in ("model folders", "texts", "numbers", "names")]  # the others compute for seconds


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("faults")
    return make_world(root / "world", make_base(root / "base"))


@pytest.mark.parametrize("kind", QUICK)
def test_odd_inputs_of_a_kind_are_one_line(world: World, tmp_path: Path, kind: str) -> None:
    (tally,) = [tally for tally in try_inputs(world, tmp_path, share=3 / KINDS[kind][1], only=kind) if tally.name == kind]
    assert tally.tried == 3
    assert tally.lost == []


@pytest.mark.parametrize("name", ["corpus prepare", "judge"])
def test_a_command_that_is_disturbed_ends_the_same(world: World, tmp_path: Path, name: str) -> None:
    with judge_server() as server:
        job = next(job for job in jobs(world, server.url, None) if job.name == name)
        tallies = try_job(job, tmp_path, counts={"kill -9": 1, "SIGTERM": 1, "short files": 1, "closed folder": 1})
    assert [lost for tally in tallies for lost in tally.lost] == []
    assert sum(tally.tried for tally in tallies) == 4


def _outcome(**changes: object) -> Outcome:
    return Outcome(**({"code": 3, "stdout": "", "stderr": "error: x\n", "seconds": 1.0, "megabytes": 10.0} | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("outcome", "fault"),
    [
        (_outcome(code=7), "exit code 7"),
        (_outcome(code=-11), "exit code -11"),
        (_outcome(stderr="Traceback (most recent call last):\n  x\nKeyError: 1\n"), "traceback: KeyError: 1"),
        (_outcome(stderr="Exception ignored in: x\n"), "traceback: Exception ignored in: x"),
        (_outcome(seconds=31.0), "31 s"),
        (_outcome(megabytes=1_600.0), "1,600 MB"),
        (_outcome(stderr=""), "exit code 3 without a word"),
    ],
)
def test_what_is_broken_is_counted(outcome: Outcome, fault: str) -> None:
    assert outcome.faults() == [fault]


def test_what_is_right_is_not_counted(world: World, tmp_path: Path) -> None:
    assert _outcome().faults() == []
    done = run(["check", str(world.recipe)], tmp_path)
    assert (done.code, done.faults()) == (0, [])
    assert "small.yaml: OK, no problems" in done.stdout


def test_a_command_that_breaks_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(args: object) -> int:
        raise KeyError("x")

    monkeypatch.setattr("jp_adapt.cli.list.main", broken)
    assert run(["list"], tmp_path).faults() == ["traceback: KeyError: 'x'"]
    monkeypatch.setattr("jp_adapt.cli.list.main", lambda args: len(b"x" * (1_700 * 2**20)) * 0)
    (fault,) = run(["list"], tmp_path).faults()
    assert fault.endswith(" MB")
