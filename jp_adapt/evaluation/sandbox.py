"""Programs that a model wrote, run where they can do no harm (Linux): see `sandbox_child` for what holds them. Where that cannot be had, nothing is run."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import secrets
import signal
import subprocess
import sys
from pathlib import Path

from jp_adapt.core.errors import UsageError
from jp_adapt.evaluation.sandbox_calls import AUDIT_ARCHITECTURES, allowed_numbers

CHILD = Path(__file__).with_name("sandbox_child.py")
CPU_SECONDS, WALL_SECONDS = 5, 10.0
LONGEST_SECONDS = 120  # by the clock of a machine however loaded
MEGABYTES, FILE_MEGABYTES = 512, 16
NOT_ISOLATED = "no isolation: "


def run_program(program: str, *, wall_seconds: float = WALL_SECONDS) -> bool:
    """Whether a Python program runs to its end without an error, within 5 s of processor time, 10 s by the clock, 512 MB, and files of 16 MB in all.

    The clock leaves out what the program had to wait for a processor.

    UsageError where this machine cannot isolate it.
    """
    machine = platform.machine()
    if machine not in AUDIT_ARCHITECTURES:
        raise _not_isolated(f"the system calls of {machine} are not known here")
    order = {
        "program": program,
        "secret": secrets.token_hex(16),
        "parent": os.getpid(),
        "seconds": CPU_SECONDS,
        "wall_seconds": wall_seconds,
        "longest_seconds": LONGEST_SECONDS,
        "megabytes": MEGABYTES,
        "file_megabytes": FILE_MEGABYTES,
        "architecture": AUDIT_ARCHITECTURES[machine],
        "calls": allowed_numbers(machine),
    }
    child = subprocess.Popen(
        [sys.executable, "-I", "-S", str(CHILD)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", "PYTHONHASHSEED": "0"},
        cwd="/",
        start_new_session=True,
    )
    try:
        output, _ = child.communicate(json.dumps(order).encode(), timeout=LONGEST_SECONDS + 10)
    except subprocess.TimeoutExpired:
        output = b""
    finally:
        _end(child)
    said = output.decode("utf-8", errors="replace")
    if said.startswith(NOT_ISOLATED):
        raise _not_isolated(said.removeprefix(NOT_ISOLATED))
    return said == "passed"


def _not_isolated(reason: str) -> UsageError:
    return UsageError(f"this machine cannot isolate a program ({reason}); no program was run. Allow user namespaces, or leave it out")


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill the launcher and, through its namespace, all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for stream in (child.stdin, child.stdout):
        if stream is not None:
            stream.close()


def check_isolation() -> None:
    """UsageError where programs cannot be isolated here: another system than Linux, or a kernel that allows no namespaces."""
    if sys.platform != "linux":
        raise UsageError(f"--allow-code-execution needs Linux to isolate programs, and this is {sys.platform}; no program was run")
    if not run_program("pass"):
        raise UsageError("--allow-code-execution: an empty program does not end well in the sandbox here; no program of the model was run")
