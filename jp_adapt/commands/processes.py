"""Several processes that evaluate one model together: the first leads and writes, the others answer what it asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jp_adapt.inference.processes import ALONE, Processes

if TYPE_CHECKING:
    from jp_adapt.model.causal import CausalModel
from jp_adapt.core.launch import several_processes


def joined_processes() -> Processes:
    """This process among those of its launcher (`--processes`, torchrun, accelerate launch), met; ALONE where there is no other."""
    if not several_processes():
        return ALONE
    from jp_adapt.training import ranks

    ranks.join()
    return Processes(ranks.rank(), ranks.world_size(), ranks.gather)


@contextmanager
def led(processes: Processes) -> Iterator[Callable[[str | None], None]]:
    """For the first process: the call that names the benchmark which all measure next; the end is told to the others when all is well."""
    if processes.count == 1:
        yield lambda name: None
        return
    from jp_adapt.training import ranks

    with ranks.lost_rank_is_an_error():
        yield ranks.share
        ranks.share(None)


def follow(measure: Callable[[str], object]) -> None:
    """For every other process: measure what the first one names, until it ends."""
    from jp_adapt.training import ranks

    with ranks.lost_rank_is_an_error():
        while (name := ranks.share()) is not None:
            measure(name)


def measuring_processes(model: CausalModel) -> Processes:
    """The processes that share a measurement while they train. Where `model` is sharded a pass needs every process, and each makes all of them."""
    from jp_adapt.training.sharding import is_sharded

    return ALONE if is_sharded(model) else joined_processes()
