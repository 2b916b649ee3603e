"""FSDP2 over two processes trains what one process trains, and checkpoints move between one process, FSDP and DDP."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from jp_adapt.model.causal import save_adapter
from jp_adapt.training.checkpoint import list_checkpoints
from tests.training.sharded_runs import CASES, EXACT, LAST, assert_equal, go, in_two_processes


def work(rank: int, bases: dict[str, Path], folder: Path) -> None:
    """What each of two processes does."""
    for case in CASES:
        model, losses = go(case, bases, folder / case / "two", distributed="fsdp")
        if rank == 0:
            save_adapter(model, folder / case, "hash")
            (folder / case / "losses.json").write_text(json.dumps(losses), encoding="utf-8")
    for case in EXACT:  # one process has come to step 3
        go(case, bases, folder / case / "moved", distributed="fsdp", until=7)
        go(case, bases, folder / case / "moved", distributed="ddp", until=10)


@pytest.fixture(scope="module")
def two(one, bases, tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    for case, (_, _, checkpoints) in one.items():
        shutil.copytree(checkpoints / "step_000003", folder / case / "moved" / "step_000003")
    in_two_processes(work, bases, folder)
    return folder


@pytest.mark.parametrize("case", EXACT)
def test_two_processes_with_a_sharded_model_train_what_one_trains(case, one, two, tmp_path):
    model, losses, _ = one[case]
    assert json.loads((two / case / "losses.json").read_text(encoding="utf-8")) == pytest.approx(losses, rel=1e-5)
    save_adapter(model, tmp_path, "hash")
    for path in tmp_path.glob("*.safetensors"):
        assert_equal(path, two / case / path.name)


@pytest.mark.parametrize("case", EXACT)
def test_a_checkpoint_moves_from_one_process_to_fsdp_to_ddp_and_back(case, one, two, bases):
    moved = two / case / "moved"
    assert [path.name for path in list_checkpoints(moved)] == ["step_000003", "step_000006", "step_000009"]
    go(case, bases, moved)
    assert_equal(one[case][2] / LAST, moved / LAST)


def test_weights_that_train_stay_float32_while_bfloat16_computes(one, two):
    case = "all, tied, bfloat16"
    _, losses, _ = one[case]
    assert json.loads((two / case / "losses.json").read_text(encoding="utf-8"))[1:] == pytest.approx(losses[1:], rel=0.02)
    assert {tensor.dtype for tensor in load_file(two / case / "trained_weights.safetensors").values()} == {torch.float32}


TOGETHER = {"new_rows_whitening": True, "shared_rows_lr": 1e-3}


def work_together(rank: int, bases: dict[str, Path], folder: Path) -> None:
    go(EXACT[0], bases, folder / "two", **TOGETHER)


def test_rows_that_learn_together_learn_the_same_on_two_processes(bases, tmp_path):
    go(EXACT[0], bases, tmp_path / "one", **TOGETHER)
    in_two_processes(work_together, bases, tmp_path)
    assert_equal(tmp_path / "one" / LAST, tmp_path / "two" / LAST)
