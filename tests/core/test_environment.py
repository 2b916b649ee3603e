"""Versions and machine, without a name of a person and without torch."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from pathlib import Path

from jp_adapt.core.environment import environment, peak_memory_bytes


def test_versions_are_those_that_run() -> None:
    results = environment()
    assert (results["python"], results["torch"], results["jp-adapt"]) == (platform.python_version(), metadata.version("torch"), metadata.version("jp-adapt"))
    assert str(Path.home()) not in str(results)


def test_peak_memory_is_in_bytes() -> None:
    peak = peak_memory_bytes()
    assert sys.platform == "win32" or (peak is not None and 10 * 2**20 < peak < 2**40)
