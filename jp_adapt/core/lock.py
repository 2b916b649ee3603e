"""One process owns a folder: an advisory lock that the operating system drops when the process ends, however it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jp_adapt.core.errors import RunFolderError, UsageError
from jp_adapt.core.files import refuse_unwritable


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold `folder/.lock`; the folder is made where it is missing.

    Raises:
        RunFolderError: another living process holds it.
        UsageError: the folder cannot be made or written.
    """
    from filelock import FileLock, Timeout

    refuse_unwritable(folder)
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise RunFolderError(f"{folder}: another jp-adapt process is working here; wait for it, or give another --out") from None
    except OSError as error:
        place, reason = error.filename or folder, error.strerror or error
        raise UsageError(f"{place}: cannot be locked ({reason}); give another --out, or the right to write there") from error
    try:
        yield
    finally:
        lock.release()
