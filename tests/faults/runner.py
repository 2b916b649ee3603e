"""Run one command of jp-adapt as a user would, in a process of its own that costs no start: a fork of this one, in which everything is loaded already.

What the command did is judged by what the documents promise: an exit code that they list, no traceback, a bounded time and a bounded memory.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

CODES = frozenset({0, 1, 2, 3, 4, 5, 130})
SECONDS = 30.0
MEGABYTES = 1_500  # beyond what an empty command takes


@dataclass(frozen=True)
class Outcome:
    """What came of a command. `code` is negative where a signal ended it; `megabytes` is its peak beyond that of an empty command."""

    code: int
    stdout: str
    stderr: str
    seconds: float
    megabytes: float

    def faults(self, *, seconds: float = SECONDS) -> list[str]:
        """What a user would call broken."""
        wrong = []
        if self.code not in CODES:
            wrong.append(f"exit code {self.code}")
        if "Traceback (most recent call last)" in self.stderr or "Exception ignored" in self.stderr or "panicked at" in self.stderr:
            wrong.append(f"traceback: {self.stderr.strip().splitlines()[-1][:200]}")
        if self.seconds > seconds:
            wrong.append(f"{self.seconds:.0f} s")
        if self.megabytes > MEGABYTES:
            wrong.append(f"{self.megabytes:,.0f} MB")
        if self.code not in (0, 4, -9, -15) and not wrong and not self.stderr.strip():
            wrong.append(f"exit code {self.code} without a word")
        return wrong


def run(
    arguments: Sequence[str],
    folder: Path,
    *,
    seconds: float = SECONDS,
    prepare: Callable[[], None] = lambda: None,
    during: Callable[[int], None] = lambda process: None,
) -> Outcome:
    """`jp-adapt ARGUMENTS` in `folder`.

    Args:
        seconds: after these, by its own clock and processor time, it is killed.
        prepare: done in the new process first (limits, rights).
        during: done here while it runs, with the number of its process group.
    """
    started = time.monotonic()
    out, err = folder / ".stdout", folder / ".stderr"
    process = os.fork()
    if process == 0:
        _be_the_command(arguments, folder, out, err, prepare)
    during(process)
    deadline = started + 3 * seconds  # by the clock, of a machine that may be busy
    while True:
        ended, status, usage = os.wait4(process, os.WNOHANG)
        if ended:
            break
        if time.monotonic() > deadline or _processor_seconds(process) > seconds + 5:
            os.killpg(process, signal.SIGKILL)
            _, status, usage = os.wait4(process, 0)
            break
        time.sleep(0.004)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)  # whatever it left behind
    used = min(time.monotonic() - started, usage.ru_utime + usage.ru_stime + _idle(status))
    texts = [path.read_text(encoding="utf-8", errors="replace") if path.exists() else "" for path in (out, err)]
    return Outcome(os.waitstatus_to_exitcode(status), texts[0], texts[1], used, usage.ru_maxrss / 1024 - _empty_megabytes())


def _idle(status: int) -> float:
    """Seconds that do not count as processor time: of a command that had to be killed, all that it was given."""
    return SECONDS + 1 if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL else 0.0


def _processor_seconds(process: int) -> float:
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError):
        return 0.0


def _empty_megabytes() -> float:
    """Resident memory with which every fork of this process begins: its own pages. Those of mapped files are not inherited."""
    _, resident, shared, *_ = Path("/proc/self/statm").read_text().split()
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _stream(number: int, errors: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.FileIO(number, "w", closefd=False), encoding="utf-8", errors=errors, write_through=True)


def _be_the_command(arguments: Sequence[str], folder: Path, out: Path, err: Path, prepare: Callable[[], None]) -> None:
    code = 1
    try:
        os.setsid()
        os.chdir(folder)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        for number, path in ((1, out), (2, err)):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
        sys.stdout = sys.__stdout__ = _stream(1, "strict")  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = _stream(2, "backslashreplace")  # type: ignore[misc]
        prepare()
        from jp_adapt.cli.main import main

        code = main(list(arguments))
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
    except BaseException:
        traceback.print_exc(file=sys.stderr)
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
