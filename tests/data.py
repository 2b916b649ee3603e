"""Development data beside the repository: real benchmarks, which ../shared/data or JP_ADAPT_DATA names. The tests pass without it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("JP_ADAPT_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
needs_data = pytest.mark.skipif(not SHARED.is_dir(), reason=f"no development data at {SHARED} (JP_ADAPT_DATA names another place)")


def shared_data() -> Path:
    """The folder of the development data."""
    return SHARED
