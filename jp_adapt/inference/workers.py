"""Many requests at a time, and one reason where they end early."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from jp_adapt.core.errors import JpAdaptError

Work = TypeVar("Work")
Result = TypeVar("Result")


class StoppedError(JpAdaptError):
    """Nothing more is asked, since something else went wrong; that is told in its place."""


def in_parallel(
    do: Callable[[Work], Result],
    work: Sequence[Work],
    *,
    parallel: int,
    stopped: threading.Event,
    finished: Callable[[int, Result], None] = lambda done, result: None,
) -> list[Result]:
    """`do` of everything in `work`, in the order given, with up to `parallel` at a time; `finished(how many are done, result)` after each.

    The first error sets `stopped`: what waits ends with StoppedError, what is under way comes to its end, and then that first error is raised, whichever
    worker is seen to end first.
    """
    results: dict[int, Result] = {}
    causes: list[BaseException] = []

    def guarded(entry: Work) -> Result:
        if stopped.is_set():
            raise StoppedError("stopped")
        try:
            return do(entry)
        except StoppedError:
            raise
        except BaseException as error:
            causes.append(error)
            stopped.set()  # here and not in the main thread: another worker may be about to begin
            raise

    with ThreadPoolExecutor(parallel) as pool:
        running: dict[Future[Result], int] = {}
        try:
            for at, entry in enumerate(work):
                running[pool.submit(guarded, entry)] = at
                while len(running) >= 2 * parallel or (at == len(work) - 1 and running):
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        results[running.pop(future)] = result = future.result()
                        finished(len(results), result)
        except BaseException as error:
            stopped.set()
            for future in running:
                future.cancel()
            if causes and isinstance(error, Exception):
                raise causes[0] from None
            raise
    return [results[at] for at in range(len(work))]
