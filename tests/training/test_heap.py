"""What a step frees is kept for the next."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from jp_adapt.training import heap

STEPS = """
import resource, sys, torch
from jp_adapt.training.heap import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
for step in range(6):
    blocks = [torch.ones(1_000_000) for _ in range(20)]
    del blocks
    if step == 2:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
def test_later_steps_take_no_new_pages():
    # How much glibc gives back by itself depends on how the heap happens to lie; so it is told to give back all.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
    faults = {}
    for how in ("keep", "plain"):
        done = subprocess.run([sys.executable, "-c", STEPS, how], capture_output=True, text=True, check=True, env=environment)
        faults[how] = int(done.stdout)
    assert faults["keep"] < 1_000 < faults["plain"], faults


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(heap.platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(heap.ctypes, "CDLL", lambda _: pytest.fail("asked a C library that is not glibc"))
    assert heap.keep_freed_memory() is False
