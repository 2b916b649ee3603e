"""Requests that come one by one, worked on together: what waits while the model computes is its next batch."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Generic, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")
QUIET_S = 0.01  # a batch begins once nothing more has come for so long
LONGEST_S = 0.2  # for a batch that keeps growing


class Together(Generic[Task, Result]):
    """One thread that gives all tasks that have come to `work`, which returns a result for each, in their order.

    Where `work` fails on several tasks, each is tried alone, so that one task cannot spoil those of others.
    """

    def __init__(self, work: Callable[[Sequence[Task]], Sequence[Result]]) -> None:
        self._work = work
        self._waiting: queue.Queue[tuple[Task, Future[Result]] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._go, daemon=True)
        self._thread.start()

    def submit(self, task: Task) -> Future[Result]:
        """The result of a task, once it is there. A future that is cancelled before its batch begins costs nothing."""
        future: Future[Result] = Future()
        self._waiting.put((task, future))
        return future

    def close(self) -> None:
        """End the thread when the batch that it works on is done."""
        self._waiting.put(None)
        self._thread.join()

    def _go(self) -> None:
        while (batch := self._next()) is not None:
            wanted = [(task, future) for task, future in batch if future.set_running_or_notify_cancel()]
            if wanted:
                self._do(wanted)

    def _next(self) -> list[tuple[Task, Future[Result]]] | None:
        """What has come, at least one task; None at the end."""
        entry, latest = self._waiting.get(), time.monotonic() + LONGEST_S
        batch = []
        while entry is not None:
            batch.append(entry)
            try:
                entry = self._waiting.get(timeout=max(0.0, min(QUIET_S, latest - time.monotonic())))
            except queue.Empty:
                return batch
        if batch:
            self._waiting.put(None)  # this batch is the last
        return batch or None

    def _do(self, batch: list[tuple[Task, Future[Result]]]) -> None:
        try:
            results = self._work([task for task, _ in batch])
        except Exception as error:  # told to whoever waits for it
            if len(batch) == 1:
                batch[0][1].set_exception(error)
            else:
                for entry in batch:
                    self._do([entry])
        else:
            for (_, future), result in zip(batch, results, strict=True):
                future.set_result(result)
