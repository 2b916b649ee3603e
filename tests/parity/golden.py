"""Golden files: hashes of what a peer's own code asks, 20 items a benchmark, so that a test needs neither its sources nor a line of the data."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from jp_adapt.benchmarks.items import load_benchmark
from jp_adapt.evaluation.divisions import divided
from jp_adapt.evaluation.prompts import build_prompts
from tests.parity.compare import Asked, Questions, fingerprint, ours

FOLDER = Path(__file__).parent / "golden"
ITEMS = 20


def golden_path(peer: str, invented: bool) -> Path:
    """The file of a peer, of the real data or of that of tests/benchmark_files.py."""
    return FOLDER / f"{peer}{'.invented' if invented else ''}.json"


def golden_of(benchmark: str, profile: str, shots: int | None, data: Path, questions: Questions) -> dict[str, Any]:
    """What is kept of a peer's questions: number of items, budget, and the hashes of those that a sample of ours has."""
    own = ours(benchmark, profile, data, shots)
    known = {item: position for position, item in enumerate(own.ids)}
    sample, _ = sampled(benchmark, profile, shots, data)
    return {"items": len(questions.items), "budget": questions.budget, "sample": {item: fingerprint(questions.items[known[item]]) for item in sample}}


def sampled(benchmark: str, profile: str, shots: int | None, data: Path, chosen: Collection[str] = ()) -> tuple[dict[str, str], int]:
    """Our own hashes of 20 items, or of those that are `chosen`, and the number of all."""
    loaded = load_benchmark(benchmark, data)
    protocol, prompts = build_prompts(loaded, profile, shots=shots, limit=None if chosen else ITEMS)
    asked = {
        prompt.item.id: Asked(prompt.text, tuple(prompt.choices or prompt.answers), prompt.item.answer if prompt.choices else None)
        for prompt in prompts
        if not chosen or prompt.item.id in chosen
    }
    return {item: fingerprint(entry) for item, entry in asked.items()}, len(divided(loaded.items, loaded.shots, protocol.division)[0])


def write_golden(path: Path, results: Mapping[str, Mapping[str, Any]]) -> None:
    """A golden file, in an order that does not change."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8")
