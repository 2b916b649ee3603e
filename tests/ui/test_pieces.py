"""A model that speaks in a thread of its own: whole answers, errors, and listeners who leave."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from jp_adapt.ui.pieces import said_elsewhere


def heard(pieces: Iterator[str], ended: Callable[[], bool] = lambda: False, most: int = 100) -> list[str]:
    async def listen() -> list[str]:
        results: list[str] = []
        stream = said_elsewhere(pieces, ended)
        async for piece in stream:
            results.append(piece)
            if len(results) == most:
                await stream.aclose()  # type: ignore[attr-defined]
        return results

    return asyncio.run(listen())


def test_pieces_come_in_order_and_an_error_comes_behind_them() -> None:
    def broken() -> Iterator[str]:
        yield "a"
        raise ValueError("no more")

    assert heard(iter(["a", "b", "c"])) == ["a", "b", "c"]
    with pytest.raises(ValueError, match="no more"):
        heard(broken())


def test_a_listener_who_leaves_ends_the_answer() -> None:
    closed = threading.Event()

    def endless() -> Iterator[str]:
        try:
            while True:
                time.sleep(0.01)
                yield "a"
        finally:
            closed.set()

    assert heard(endless(), most=2) == ["a", "a"]
    assert closed.wait(5)


def test_a_model_that_says_nothing_is_not_waited_for() -> None:
    release = threading.Event()

    def silent() -> Iterator[str]:
        release.wait()
        yield "too late"

    started = time.monotonic()
    assert heard(silent(), ended=lambda: time.monotonic() - started > 0.1) == []
    assert time.monotonic() - started < 5
    release.set()
