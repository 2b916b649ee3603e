"""One process owns a folder: an advisory lock that the operating system drops when the process ends, however it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jp_adapt.core.errors import RunFolderError, UsageError
from jp_adapt.core.files import refuse_unwritable

LOOKED_AT_S = 0.5  # a process waits this long for a lock: `is_locked` of another shares it for an instant


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold `folder/.lock`; the folder is made where it is missing.

    Raises:
        RunFolderError: another living process holds it.
        UsageError: the folder cannot be made or written.
    """
    from filelock import FileLock, Timeout

    refuse_unwritable(folder)
    lock = FileLock(folder / ".lock", timeout=LOOKED_AT_S)
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


def is_locked(folder: Path) -> bool:
    """Whether a living process works in `folder`. Nothing is written. False where the system does not say (Windows, a folder that may not be read)."""
    try:
        import fcntl
    except ImportError:
        return False
    try:
        with (folder / ".lock").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
