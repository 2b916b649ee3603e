"""What a model says piece by piece, out of a thread of its own, so that neither the page nor the end of the server waits for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TypeVar

LOOK_EVERY_S = 0.5
Piece = TypeVar("Piece")


async def said_elsewhere(pieces: Iterator[Piece], ended: Callable[[], bool]) -> AsyncIterator[Piece]:
    """The pieces as they come, until there are no more or `ended` says so; an exception of theirs is raised here.

    The thread is a daemon: a model or a server that does not answer keeps no process alive. Whoever stops listening ends the iterator at its next piece.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[Piece | BaseException | None] = asyncio.Queue()
    left = threading.Event()

    def work() -> None:
        end: BaseException | None = None
        try:
            for piece in pieces:
                if left.is_set():
                    break
                loop.call_soon_threadsafe(queue.put_nowait, piece)
        except BaseException as error:  # told where the pieces are read
            end = error
        finally:
            getattr(pieces, "close", lambda: None)()
        if not left.is_set():
            loop.call_soon_threadsafe(queue.put_nowait, end)

    threading.Thread(target=work, daemon=True).start()
    try:
        while not ended():
            try:
                item = await asyncio.wait_for(queue.get(), LOOK_EVERY_S)
            except asyncio.TimeoutError:
                continue
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        left.set()
