"""Several processes that train or evaluate one model: who is who, and what they must agree on. One process is the common case and costs nothing.

The processes come from `jp-adapt run --processes N`, `torchrun` or `accelerate launch`; all three set RANK, WORLD_SIZE and the address of rank 0.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from accelerate import PartialState

from jp_adapt.core.errors import JpAdaptError

LONGEST_STAGE = timedelta(days=30)  # ranks wait for rank 0 while it builds a tokenizer or evaluates
LOST = ("Connection closed by peer", "Connection reset by peer", "gloo", "NCCL", "Broken pipe", "Socket")
_control: list[Any] = []  # one group of its own over gloo, so that waiting for hours meets no watchdog of NCCL


def rank() -> int:
    """Number of this process, from 0."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """How many processes there are."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def on_cpu() -> bool:
    """What accelerate must be told: without it, several processes without a GPU do not find each other, and each trains alone."""
    return world_size() > 1 and not torch.accelerator.is_available()


def join() -> None:
    """Meet the other processes, once. Nothing to do when there is one."""
    if world_size() > 1 and not _control:
        PartialState(cpu=on_cpu())
        _control.append(dist.new_group(backend="gloo", timeout=LONGEST_STAGE))
        atexit.register(_leave)


def _leave() -> None:
    """End gloo's threads before the interpreter ends: with them running, one in five processes that had trained with DeepSpeed was aborted at its exit."""
    if dist.is_initialized():
        dist.destroy_process_group(None if on_cpu() else _control[0])


def share(value: Any = None) -> Any:
    """The value of rank 0, on every rank."""
    if world_size() == 1:
        return value
    join()
    box = [value]
    dist.broadcast_object_list(box, src=0, group=_control[0])
    return box[0]


def gather(value: Any) -> list[Any]:
    """The values of all ranks, on every rank."""
    if world_size() == 1:
        return [value]
    join()
    values: list[Any] = [None] * world_size()
    dist.all_gather_object(values, value, group=_control[0])
    return values


def any_rank(flag: bool) -> bool:
    """Whether `flag` is set on any rank: a signal that reaches one process stops all of them after the same step."""
    if world_size() == 1:
        return flag
    join()
    total = torch.tensor(int(flag))
    dist.all_reduce(total, group=_control[0])
    return bool(total.item())


def largest(number: int) -> int:
    """The largest `number` of any rank, on every rank."""
    if world_size() == 1:
        return number
    join()
    results = torch.tensor(number)
    dist.all_reduce(results, op=dist.ReduceOp.MAX, group=_control[0])
    return int(results.item())


@contextmanager
def lost_rank_is_an_error() -> Iterator[None]:
    """Turn the error of a collective whose partner has gone into one line."""
    try:
        yield
    except RuntimeError as error:
        if world_size() > 1 and any(word in str(error) for word in LOST):
            reason = str(error).splitlines()[0][:160]
            raise JpAdaptError(
                f"another of the {world_size()} processes is gone ({reason}); the last checkpoint is kept, and the same command resumes"
            ) from error
        raise
