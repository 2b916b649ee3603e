"""Programs that a model wrote, run where they can do no harm (Linux): see `sandbox_child` for what holds them. Where that cannot be had, nothing is run."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
from pathlib import Path

from jp_adapt.core.errors import UsageError

CHILD = Path(__file__).with_name("sandbox_child.py")
CPU_SECONDS, WALL_SECONDS = 5, 10.0
MEGABYTES, FILE_MEGABYTES = 512, 16
NOT_ISOLATED = "no isolation: "


def run_program(program: str, *, wall_seconds: float = WALL_SECONDS) -> bool:
    """Whether a Python program runs to its end without an error, within 5 s of processor time, 10 s by the clock, 512 MB, and files of 16 MB in all.

    UsageError where this machine cannot isolate it.
    """
    token = secrets.token_hex(16)
    order = {"program": program, "token": token, "seconds": CPU_SECONDS, "megabytes": MEGABYTES, "file_megabytes": FILE_MEGABYTES}
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
        output, _ = child.communicate(json.dumps(order).encode(), timeout=wall_seconds)
    except subprocess.TimeoutExpired:
        output = b""
    finally:
        _end(child)
    text = output.decode("utf-8", errors="replace")
    if text.startswith(NOT_ISOLATED):
        raise UsageError(
            f"this machine cannot isolate a program ({text.removeprefix(NOT_ISOLATED)}); no program was run. Allow user namespaces, or leave it out"
        )
    return text == token


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
