"""Our prompts are the peers' to the letter: hashes of what their own code asks, of 20 items a benchmark (`python -m tests.parity` compares all of them)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.data import SHARED
from tests.parity.golden import FOLDER, ITEMS, golden_path, sampled

PEERS = sorted({path.name.split(".json")[0].removesuffix(".invented") for path in FOLDER.glob("*.json")})


def golden(invented: bool) -> list[tuple[str, str]]:
    paths = {peer: golden_path(peer, invented) for peer in PEERS}
    return [(peer, name) for peer, path in paths.items() if path.is_file() for name in json.loads(path.read_text(encoding="utf-8"))]


def check(peer: str, name: str, data: Path, invented: bool) -> None:
    expected = json.loads(golden_path(peer, invented).read_text(encoding="utf-8"))[name]
    benchmark, _, rest = name.partition("@")
    profile, _, shots = rest.partition("/")
    sample, items = sampled(benchmark, profile, int(shots.removesuffix("-shot")) if shots else None, data, expected["sample"].keys())
    assert items == expected["items"]
    assert len(sample) == min(ITEMS, items)
    assert sample == expected["sample"]


def test_every_peer_has_golden_files() -> None:
    assert PEERS
    assert all(golden_path(peer, invented=True).is_file() for peer in PEERS)


@pytest.mark.parametrize(("peer", "name"), golden(invented=True))
def test_as_the_peer_asks_of_invented_data(peer: str, name: str, benchmark_data: Path) -> None:
    check(peer, name, benchmark_data, invented=True)


@pytest.mark.parametrize(("peer", "name"), golden(invented=False))
def test_as_the_peer_asks_of_the_real_data(peer: str, name: str) -> None:
    from jp_adapt.benchmarks.items import load_declaration

    data = SHARED / "benchmarks"
    benchmark, _ = load_declaration(name.partition("@")[0])
    if not (data / str(benchmark.data.folder)).is_dir():
        pytest.skip(f"no data of {name} at {data}")
    check(peer, name, data, invented=False)
