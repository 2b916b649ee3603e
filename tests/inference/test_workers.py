"""Many requests at a time: results in order, and of several errors the first."""

from __future__ import annotations

import threading
import time

import pytest

from jp_adapt.inference.workers import StoppedError, in_parallel


def test_results_come_in_the_order_given_and_are_counted() -> None:
    seen = []

    def do(n: int) -> int:
        time.sleep(0.001 * (n % 3))
        return n * n

    answers = in_parallel(do, range(20), parallel=4, stopped=threading.Event(), finished=lambda *entry: seen.append(entry))
    assert answers == [n * n for n in range(20)]
    assert [done for done, _ in seen] == list(range(1, 21))
    assert sorted(result for _, result in seen) == answers
    assert in_parallel(abs, [], parallel=4, stopped=threading.Event()) == []


def test_after_an_error_nothing_more_is_begun() -> None:
    begun = []

    def do(n: int) -> None:
        begun.append(n)
        if n == 3:
            raise ValueError("the cause")

    with pytest.raises(ValueError, match="the cause"):
        in_parallel(do, range(1000), parallel=2, stopped=threading.Event())
    assert len(begun) < 10


def test_the_first_error_is_told_whichever_worker_is_seen_to_end_first() -> None:
    """One request fails; the others wait to try again and are told to stop: one of them may be seen first."""
    stopped, waiting = threading.Event(), threading.Barrier(4)

    def do(n: int) -> int:
        waiting.wait()
        if n == 3:
            raise ValueError("the cause")
        stopped.wait()
        raise StoppedError("stopped while waiting")

    for _ in range(20):
        stopped.clear()
        with pytest.raises(ValueError, match="the cause"):
            in_parallel(do, range(4), parallel=4, stopped=stopped)


def test_what_is_under_way_comes_to_its_end() -> None:
    stopped, done, begun = threading.Event(), [], threading.Barrier(2)

    def do(n: int) -> None:
        begun.wait()
        if n == 0:
            raise ValueError("the cause")
        time.sleep(0.05)
        done.append(n)

    with pytest.raises(ValueError, match="the cause"):
        in_parallel(do, range(8), parallel=2, stopped=stopped)
    assert done == [1]
    assert stopped.is_set()
    with pytest.raises(StoppedError):
        in_parallel(do, range(2), parallel=2, stopped=stopped)
