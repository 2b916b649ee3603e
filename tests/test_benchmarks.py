"""Every benchmark can be started: the figures in the docs come from their commands."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from tests.perf.__main__ import BENCHMARKS

PERF = Path(__file__).parent / "perf"
PEERS = {"datasketch", "datatrove", "hojichar", "loguru"}  # the extra `perf` alone brings them


@pytest.mark.filterwarnings("ignore")  # the peers' own
@pytest.mark.parametrize("name", sorted(path.stem for path in PERF.glob("*.py") if not path.stem.startswith("__")))
def test_a_benchmark_finds_what_it_imports(name: str) -> None:
    try:
        import_module(f"tests.perf.{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in PEERS:
            raise
        pytest.skip(f"{error.name} is not installed: pip install '.[perf]'")


def test_make_perf_lists_benchmarks_that_are_there() -> None:
    assert all((PERF / f"{name}.py").is_file() for name in BENCHMARKS)
