"""Which exit code several processes have together."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jp_adapt.core.launch import _wait

ABORTS, KILLED, GONE, TELLS = "os.abort()", "os.kill(os.getpid(), 9)", "time.sleep(0.3); os._exit(1)", "time.sleep(0.3); os._exit(5)"


@pytest.mark.parametrize(
    ("first", "second", "code", "words"),
    [
        (TELLS, ABORTS, 5, ""),  # the second lost the first, and ended before it
        (ABORTS, TELLS, 5, ""),
        (GONE, KILLED, 1, "error: process 1 of 2 was ended by SIGKILL, and all were stopped."),
        ("os._exit(130)", "os._exit(130)", 130, ""),
        ("pass", GONE, 1, ""),
        ("pass", "pass", 0, ""),
    ],
)
def test_the_process_that_tells_its_error_decides(first, second, code, words, capsys):
    processes = [subprocess.Popen([sys.executable, "-c", f"import os, time; {what}"]) for what in (first, second)]
    assert _wait(processes) == code
    assert words in capsys.readouterr().err
