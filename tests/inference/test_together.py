"""What waits is worked on together, and one bad task spoils no other."""

from __future__ import annotations

import threading

import pytest

from jp_adapt.inference.together import Together


def test_what_waits_is_one_batch() -> None:
    batches, started, go_on = [], threading.Event(), threading.Event()

    def work(tasks):
        batches.append(list(tasks))
        started.set()
        assert go_on.wait(10)
        return [2 * task for task in tasks]

    together = Together(work)
    first = together.submit(1)
    assert started.wait(10)
    others = [together.submit(task) for task in (2, 3, 4)]
    assert others[1].cancel()
    go_on.set()
    assert [future.result(10) for future in (first, others[0], others[2])] == [2, 4, 8]
    together.close()
    assert batches == [[1], [2, 4]]


def test_a_bad_task_fails_alone() -> None:
    hold = threading.Event()

    def work(tasks):
        hold.wait(10)
        return [10 // task for task in tasks]

    together = Together(work)
    futures = [together.submit(task) for task in (1, 0, 5)]
    hold.set()
    assert futures[0].result(10) == 10
    assert futures[2].result(10) == 2
    with pytest.raises(ZeroDivisionError):
        futures[1].result(10)
    together.close()
