"""Alternating timing of two or more contenders."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def alternate(contenders: dict[str, Callable[[], object]], rounds: int = 7) -> dict[str, list[float]]:
    """Seconds of each round of each contender, in turn, after one round that is not counted."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for round_number in range(rounds + 1):
        for name, work in contenders.items():
            started = time.perf_counter()
            work()
            if round_number:
                times[name].append(time.perf_counter() - started)
    return times


def report(times: dict[str, list[float]], ours: str) -> None:
    """Median of each, and the median over rounds of (theirs / ours)."""
    for name, seconds in times.items():
        ratio = statistics.median(other / own for other, own in zip(seconds, times[ours], strict=True))
        print(f"  {name:<28} median {statistics.median(seconds) * 1e3:8.1f} ms   {ratio:5.2f} x ours")
