"""Fixtures of evaluation: invented benchmark data in the layouts of the upstream repositories."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.evaluation.benchmark_files import write_benchmark_files


@pytest.fixture(scope="session")
def benchmark_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder that `--data` may name."""
    return write_benchmark_files(tmp_path_factory.mktemp("benchmarks"))
