"""One process owns a folder: an advisory lock that the operating system drops when the process ends, however it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jp_adapt.core.errors import RunFolderError

try:
    import fcntl
except ImportError:  # Windows has no flock; a byte-range lock of msvcrt serves the same end
    fcntl = None  # type: ignore[assignment]
    import msvcrt


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold `folder/.lock`; RunFolderError when another living process holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ".lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            else:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        except OSError:
            raise RunFolderError(f"{folder}: another jp-adapt process is working here; wait for it, or give another --out") from None
        yield
    finally:
        os.close(descriptor)
