"""Progress on stderr: a bar on a terminal, a line now and then elsewhere. stdout is left to results."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LINE_EVERY_S = 15.0

Advance = Callable[[int, str], None]


def say(message: str) -> None:
    """One line on stderr. Where nobody reads it any more (`... 2>&1 | head`), the work goes on without it."""
    try:
        print(message, file=sys.stderr, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


@contextmanager
def progress(title: str, total: int) -> Iterator[Advance]:
    """Yield `advance(done, note)`: `done` of `total` units are finished; `note` is a short remark."""
    if sys.stderr.isatty():
        with _bar(title, total) as advance:
            yield advance
    else:
        yield _lines(title, total)


@contextmanager
def _bar(title: str, total: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[note]}"), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total, note="")
        yield lambda done, note: bar.update(task, completed=done, note=note)


def _lines(title: str, total: int) -> Advance:
    started = last = time.monotonic()
    ended = False

    def advance(done: int, note: str) -> None:
        nonlocal last, ended
        now = time.monotonic()
        if done and not ended and (done >= total or now - last >= LINE_EVERY_S):
            last, ended = now, done >= total
            left = (now - started) / done * (total - done)
            say(f"  {title} {done}/{total}  {note}" + (f"  about {left:.0f} s left" if done < total else ""))

    return advance
