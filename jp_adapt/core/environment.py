"""Versions, machine and memory: what a result records about where it was made."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from typing import Any

RECORDED_PACKAGES = ("jp-adapt", "torch", "transformers", "tokenizers", "peft", "accelerate", "safetensors", "numpy")


def environment() -> dict[str, Any]:
    """Versions and machine, as far as they can matter to a result; torch is not imported for it."""
    versions = {}
    for name in RECORDED_PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}", "cpu_count": os.cpu_count(), **versions}


def peak_memory_bytes() -> int | None:
    """Peak resident memory of this process so far; None if the system does not report it."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
