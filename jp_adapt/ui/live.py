"""A run while it is watched: how far it is and its metrics, as server-sent events."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool

from jp_adapt.core.errors import JpAdaptError
from jp_adapt.core.lock import is_locked
from jp_adapt.pipeline.run_folder import RESOLVED, RUN, STAGE, RunFolder
from jp_adapt.pipeline.status import run_status
from jp_adapt.ui.curves import MetricsTail, columns, thinned

LOOK_EVERY_S = 0.5
ALIVE_EVERY = 20  # looks without news until a comment says that the server is there
WATCHED = ("metrics.jsonl", STAGE, "DONE")

Stages = list[dict[str, Any]]


class Statuses:
    """How far runs are, computed once for all who watch, and only where a file has changed."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[Any, Stages]] = {}
        self._lock = threading.Lock()

    def of(self, path: Path) -> Stages:
        """The stages of a run as JSON values."""
        stamp = _stamp(path)
        with self._lock:
            known = self._known.get(path)
            if known is None or known[0] != stamp:
                known = self._known[path] = (stamp, [asdict(stage) for stage in run_status(path)])
            return known[1]


async def follow(path: Path, statuses: Statuses, ended: Callable[[], bool]) -> AsyncIterator[str]:
    """Events of a run: how far it is, and its metrics, at first all of them and then the new lines, until `ended` says so."""
    folder, tails, before, quiet = RunFolder(path), dict[str, MetricsTail](), None, 0

    def look() -> tuple[Stages, dict[str, Any]]:
        stages = statuses.of(path)
        news = {}
        for stage in stages:
            reset, lines = tails.setdefault(stage["id"], MetricsTail(folder.stage(stage["id"]).metrics)).new()
            if lines:
                news[stage["id"]] = {"reset": reset, "columns": columns(thinned(lines) if reset else lines)}
        return stages, news

    while not ended():
        try:
            stages, news = await run_in_threadpool(look)
        except (JpAdaptError, OSError) as error:
            yield event({"error": str(error).replace(str(path), path.name)})
            return
        quiet += 1
        if stages != before or news:
            yield event({"stages": stages, "metrics": news})
            before, quiet = stages, 0
        elif quiet >= ALIVE_EVERY:
            yield ": alive\n\n"
            quiet = 0
        await asyncio.sleep(LOOK_EVERY_S)


def event(value: Any) -> str:
    """A server-sent event with JSON in ASCII."""
    return f"data: {json.dumps(value, ensure_ascii=True, allow_nan=False)}\n\n"


def _stamp(path: Path) -> tuple[Any, ...]:
    """What changes when a run goes on."""
    files = [path / RUN, path / RESOLVED, *(stage / name for stage in sorted(path.glob("stages/*")) for name in WATCHED)]
    return (is_locked(path), *(_written(file) for file in files))


def _written(file: Path) -> tuple[int, int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
