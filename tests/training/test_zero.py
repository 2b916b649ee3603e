"""DeepSpeed's ZeRO over two processes trains what one process trains, and checkpoints move between the two."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch.multiprocessing

from jp_adapt.model.causal import save_adapter
from jp_adapt.training.checkpoint import list_checkpoints
from tests.training.sharded_runs import EXACT, LAST, assert_equal, go, in_two_processes

pytestmark = pytest.mark.skipif(find_spec("deepspeed") is None, reason="DeepSpeed is not installed: pip install 'jp-adapt[deepspeed]'")

# Weights of so small a model would all stay whole under stage 3, but for the thresholds.
SHARE_ALL = {"stage3_param_persistence_threshold": 0, "stage3_prefetch_bucket_size": 2000, "sub_group_size": 4000}
ZERO: dict[str, dict[str, Any]] = {
    "stage 1": {"stage": 1, "reduce_scatter": False, "reduce_bucket_size": 1000, "allgather_bucket_size": 1000},
    "stage 2": {"stage": 2, "overlap_comm": True, "contiguous_gradients": False},
    "stage 2, offloaded": {"stage": 2, "offload_optimizer": {"device": "cpu"}},
    "stage 3": {"stage": 3, "overlap_comm": False, "stage3_max_live_parameters": 1000, "stage3_max_reuse_distance": 0, **SHARE_ALL},
    "stage 3, offloaded": {"stage": 3, "offload_optimizer": {"device": "cpu"}, "offload_param": {"device": "cpu"}, **SHARE_ALL},
}
RUNS = [(case, zero) for case in EXACT for zero in ZERO]


def config(zero: str) -> dict[str, Any]:
    return {"zero_optimization": ZERO[zero]}


def work(rank: int, bases: dict[str, Path], folder: Path) -> None:
    """What each of two processes does."""
    for case, zero in RUNS:
        model, losses = go(case, bases, folder / case / zero / "two", distributed="deepspeed", deepspeed=config(zero))
        if rank == 0:
            save_adapter(model, folder / case / zero, "hash")
            (folder / case / zero / "losses.json").write_text(json.dumps(losses), encoding="utf-8")
    for case in EXACT:  # one process has come to step 3
        go(case, bases, folder / case / "moved", distributed="deepspeed", deepspeed=config("stage 2, offloaded"), until=7)
        go(case, bases, folder / case / "moved", distributed="deepspeed", deepspeed=config("stage 3"), until=10)


@pytest.fixture(scope="module")
def two(one, bases, tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    for case in EXACT:
        shutil.copytree(one[case][2] / "step_000003", folder / case / "moved" / "step_000003")
    in_two_processes(work, bases, folder)
    return folder


@pytest.mark.parametrize(("case", "zero"), RUNS)
def test_two_processes_of_deepspeed_train_what_one_process_trains(case, zero, one, two, tmp_path):
    model, losses, checkpoints = one[case]
    assert json.loads((two / case / zero / "losses.json").read_text(encoding="utf-8")) == pytest.approx(losses, rel=1e-5)
    save_adapter(model, tmp_path, "hash")
    for path in tmp_path.glob("*.safetensors"):
        assert_equal(path, two / case / zero / path.name)
    assert_equal(checkpoints / LAST, two / case / zero / "two" / LAST)


def alone(rank: int, bases: dict[str, Path], folder: Path) -> None:
    """One process, which no launcher started: what ZeRO is there for is to offload."""
    go(EXACT[0], bases, folder, distributed="deepspeed", deepspeed=config("stage 3, offloaded"))


def test_one_process_offloads_too(one, bases, tmp_path):
    torch.multiprocessing.start_processes(alone, (bases, tmp_path), nprocs=1, start_method="spawn")
    assert_equal(one[EXACT[0]][2] / LAST, tmp_path / LAST)


@pytest.mark.parametrize("case", EXACT)
def test_a_checkpoint_moves_from_one_process_to_deepspeed_and_back(case, one, two, bases):
    moved = two / case / "moved"
    assert [path.name for path in list_checkpoints(moved)] == ["step_000003", "step_000006", "step_000009"]
    go(case, bases, moved)
    assert_equal(one[case][2] / LAST, moved / LAST)
