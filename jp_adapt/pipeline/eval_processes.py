"""Several processes that evaluate one model together: the first leads and writes, the others answer what it asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jp_adapt.evaluation.processes import ALONE, Processes
from jp_adapt.pipeline.launch import several_processes


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
