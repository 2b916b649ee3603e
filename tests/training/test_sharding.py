"""FSDP2 over two processes trains what one process trains, and checkpoints move between one process, FSDP and DDP."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing
from safetensors.torch import load_file

from jp_adapt.model.causal import CausalModel, save_adapter
from jp_adapt.training.checkpoint import list_checkpoints
from jp_adapt.training.loop import Distributed, TrainSettings, train
from tests.training.test_loop import SETTINGS, model_with_rows, small_plan

PLAN = small_plan(rows_per_step=3, tokens=12 * 3 * 32)  # two rows for one process, one for the other
STRICT = dataclasses.replace(SETTINGS, lr=1e-3, new_rows_lr=1e-3, new_rows_eps=0.2, clip_norm=0.1, checkpoint_every=3, keep_checkpoints=9, micro_batch_rows=1)
CASES: dict[str, tuple[str, dict[str, bool], torch.dtype, TrainSettings]] = {
    "LoRA, tied": ("pico", {"body": False, "embeddings": False}, torch.float32, dataclasses.replace(STRICT, activation_checkpointing=True)),
    "all, untied": ("pico_untied", {"body": True, "embeddings": True}, torch.float32, STRICT),
    "all, tied, bfloat16": ("pico", {"body": True, "embeddings": True}, torch.bfloat16, STRICT),
}
EXACT = list(CASES)[:2]


class Stop(Exception):
    pass


def go(
    case: str,
    bases: dict[str, Path],
    checkpoints: Path,
    *,
    distributed: Distributed = "ddp",
    deepspeed: dict[str, Any] | None = None,
    until: int | None = None,
) -> tuple[CausalModel, list[float]]:
    """Train the case from its last checkpoint; stop in the step `until`, which is not saved then."""
    name, trains, dtype, settings = CASES[case]
    model = model_with_rows(bases[name], lora=not trains["body"], dtype=dtype)
    model.unfreeze(**trains)
    losses: list[float] = []

    def on_step(step: int, metrics: dict[str, float]) -> None:
        if step == until:
            raise Stop
        losses.extend(metrics[name] for name in ("loss_nats", "nats") if name in metrics)

    def measure() -> dict[str, float]:
        with torch.inference_mode():
            hidden = model(torch.tensor([[1, 2, 501]]))[0]
            return {"nats": float(model.log_likelihoods(hidden, torch.tensor([3, 4, 502])).double().sum())}

    try:
        changed = dataclasses.replace(settings, distributed=distributed, deepspeed=deepspeed)
        train(model, PLAN, changed, checkpoints=checkpoints, on_step=on_step, measure=measure)
    except Stop:
        assert until is not None
    return model, losses


def work(rank: int, port: int, bases: dict[str, Path], folder: Path) -> None:
    """What each of two processes does."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    for case in CASES:
        model, losses = go(case, bases, folder / case / "two", distributed="fsdp")
        if rank == 0:
            save_adapter(model, folder / case, "hash")
            (folder / case / "losses.json").write_text(json.dumps(losses), encoding="utf-8")
    for case in EXACT:  # one process has come to step 3
        go(case, bases, folder / case / "moved", distributed="fsdp", until=7)
        go(case, bases, folder / case / "moved", distributed="ddp", until=10)


@pytest.fixture(scope="module")
def bases(pico, pico_untied):
    return {"pico": pico, "pico_untied": pico_untied}


@pytest.fixture(scope="module")
def one(bases, tmp_path_factory):
    """Case -> its model, losses and checkpoints, trained by one process."""
    folder = tmp_path_factory.mktemp("one")
    return {case: (*go(case, bases, folder / case), folder / case) for case in CASES}


@pytest.fixture(scope="module")
def two(one, bases, tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    for case, (_, _, checkpoints) in one.items():
        shutil.copytree(checkpoints / "step_000003", folder / case / "moved" / "step_000003")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.start_processes(work, (port, bases, folder), nprocs=2, start_method="spawn")
    return folder


@pytest.mark.parametrize("case", EXACT)
def test_two_processes_with_a_sharded_model_train_what_one_trains(case, one, two, tmp_path):
    model, losses, _ = one[case]
    assert json.loads((two / case / "losses.json").read_text(encoding="utf-8")) == pytest.approx(losses, rel=1e-5)
    save_adapter(model, tmp_path, "hash")
    for path in tmp_path.glob("*.safetensors"):
        ours, theirs = load_file(path), load_file(two / case / path.name)
        assert ours.keys() == theirs.keys()
        for name, value in ours.items():
            torch.testing.assert_close(theirs[name], value, rtol=0, atol=1e-6, msg=name)


@pytest.mark.parametrize("case", EXACT)
def test_a_checkpoint_moves_from_one_process_to_fsdp_to_ddp_and_back(case, one, two, bases):
    moved = two / case / "moved"
    assert [path.name for path in list_checkpoints(moved)] == ["step_000003", "step_000006", "step_000009"]
    go(case, bases, moved)
    last = f"step_{PLAN.num_steps:06d}/tensors.safetensors"
    ours, theirs = load_file(one[case][2] / last), load_file(moved / last)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        torch.testing.assert_close(theirs[name], value, rtol=0, atol=1e-6, msg=name)


def test_weights_that_train_stay_float32_while_bfloat16_computes(one, two):
    case = "all, tied, bfloat16"
    _, losses, _ = one[case]
    assert json.loads((two / case / "losses.json").read_text(encoding="utf-8"))[1:] == pytest.approx(losses[1:], rel=0.02)
    assert {tensor.dtype for tensor in load_file(two / case / "trained_weights.safetensors").values()} == {torch.float32}
