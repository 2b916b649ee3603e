"""Run Python without a superuser's rights: what a closed folder does cannot be seen with them."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOBODY = 65534

# Root keeps its user number, since the interpreter may lie where nobody else may enter, and loses every capability, so that modes hold for it.
DROP = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
for capability in range(64):
    if libc.prctl(24, capability, 0, 0, 0) and ctypes.get_errno() == 1:
        sys.exit("may not drop capabilities")
    if ctypes.get_errno() == 22:
        break
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def unprivileged(arguments: list[str]) -> list[str]:
    """The command for `python ARGUMENTS` without rights."""
    return [sys.executable, *(["-c", DROP] if os.geteuid() == 0 else []), *arguments]


def run_unprivileged(arguments: list[str], folder: Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """`python ARGUMENTS` in `folder`, without rights."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    return subprocess.run(unprivileged(arguments), cwd=folder, env=environment, capture_output=True, text=True, timeout=timeout)


def drop_rights() -> None:
    """Take a superuser's rights from this process, for `prepare` of `tests.processes`: it keeps its user and loses every capability."""
    if os.geteuid() == 0:
        header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()  # the third version of capset(2), and this process
        assert ctypes.CDLL(None, use_errno=True).capset(header, none) == 0, os.strerror(ctypes.get_errno())


@contextmanager
def closed(folder: Path, mode: int) -> Iterator[None]:
    """`folder` has `mode` (0o555, 0o000) for whoever runs without rights, until the block ends."""
    status = folder.stat()
    folder.chmod(mode)
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
    try:
        yield
    finally:
        if os.geteuid() == 0:
            os.chown(folder, status.st_uid, status.st_gid)
        folder.chmod(status.st_mode)
