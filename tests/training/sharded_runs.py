"""Small trainings that one process does and that two do, to be compared."""

from __future__ import annotations

import dataclasses
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing
from safetensors.torch import load_file

from jp_adapt.model.causal import CausalModel
from jp_adapt.training.loop import Distributed, TrainSettings, train
from tests.processes import FORKS
from tests.training.test_loop import SETTINGS, model_with_rows, small_plan

PLAN = small_plan(rows_per_step=3, tokens=12 * 3 * 32)  # two rows for one process, one for the other
STRICT = dataclasses.replace(SETTINGS, lr=1e-3, new_rows_lr=1e-3, new_rows_eps=0.2, clip_norm=0.1, checkpoint_every=3, keep_checkpoints=9, micro_batch_rows=1)
CASES: dict[str, tuple[str, dict[str, bool], torch.dtype, TrainSettings]] = {
    "LoRA, tied": ("pico", {"body": False, "embeddings": False}, torch.float32, dataclasses.replace(STRICT, activation_checkpointing=True)),
    "all, untied": ("pico_untied", {"body": True, "embeddings": True}, torch.float32, STRICT),
    "all, tied, bfloat16": ("pico", {"body": True, "embeddings": True}, torch.bfloat16, STRICT),
}
EXACT = list(CASES)[:2]
LAST = f"step_{PLAN.num_steps:06d}/tensors.safetensors"


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
    **changes: Any,
) -> tuple[CausalModel, list[float]]:
    """Train the case, with `changes` of its settings, from its last checkpoint; stop in the step `until`, which is not saved then."""
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
        changed = dataclasses.replace(settings, distributed=distributed, deepspeed=deepspeed, **changes)
        train(model, PLAN, changed, checkpoints=checkpoints, on_step=on_step, measure=measure)
    except Stop:
        assert until is not None
    return model, losses


def in_two_processes(work: Callable[..., None], *arguments: Any) -> None:
    """Run `work(rank, *arguments)` in two processes that find each other, one thread each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.start_processes(_begin, (work, port, arguments), nprocs=2, start_method=FORKS.get_start_method())


def _begin(rank: int, work: Callable[..., None], port: int, arguments: tuple[Any, ...]) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    work(rank, *arguments)


def assert_equal(path: Path, other: Path) -> None:
    """The same tensors in two files, to 1e-6."""
    ours, theirs = load_file(path), load_file(other)
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        torch.testing.assert_close(theirs[name], value, rtol=0, atol=1e-6, msg=name)
