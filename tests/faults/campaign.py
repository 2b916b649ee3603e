"""Count what was tried, what survived, and what was lost."""

from __future__ import annotations

import random
import shutil
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.inputs import KINDS
from tests.faults.runner import Outcome, run
from tests.faults.world import World


@dataclass
class Tally:
    """Cases of one kind. `lost` holds (what was done, what was wrong with it)."""

    name: str
    tried: int = 0
    lost: list[tuple[str, str]] = field(default_factory=list)
    slowest: float = 0.0
    largest: float = 0.0
    seconds: float = 0.0
    codes: Counter[int] = field(default_factory=Counter)

    def add(self, what: str, outcomes: list[Outcome], wrong: list[str]) -> None:
        """Count one case."""
        self.tried += 1
        self.codes.update(outcome.code for outcome in outcomes)
        self.slowest = max([self.slowest, *(outcome.seconds for outcome in outcomes)])
        self.largest = max([self.largest, *(outcome.megabytes for outcome in outcomes)])
        if wrong:
            self.lost.append((what, "; ".join(wrong)))

    def line(self) -> str:
        """One row of the table."""
        return (
            f"{self.name:<28} {self.tried:>6,} {self.tried - len(self.lost):>9,} {len(self.lost):>5}"
            f"  {self.slowest:6.1f} s {self.largest:7,.0f} MB {self.seconds:7.0f} s"
            f"  {', '.join(f'{code}: {number}' for code, number in sorted(self.codes.items()))}"
        )


HEADER = f"{'kind':<28} {'tried':>6} {'survived':>9} {'lost':>5}  {'slowest':>8} {'memory':>10} {'all':>9}  exit codes"


def try_inputs(world: World, scratch: Path, *, share: float = 1.0, seed: int = 0, only: str = "") -> list[Tally]:
    """Every kind of odd input, `share` of its cases; each case is made from its own seed, and can be had again alone."""
    tallies = []
    for name, (kind, number) in KINDS.items():
        if only not in name:
            continue
        tally, started = Tally(name), time.monotonic()
        for case in range(max(1, round(number * share))):
            folder = scratch / "case"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            arguments = kind(random.Random(f"{seed} {name} {case}"), world, folder)
            outcome = run(arguments, folder)
            shown = " ".join(argument if len(argument) < 60 else f"{argument[:50]}..." for argument in arguments)
            tally.add(f"{name} {case}: {shown}", [outcome], outcome.faults())
        tally.seconds = time.monotonic() - started
        tallies.append(tally)
        print(tally.line(), file=sys.stderr, flush=True)
        for what, wrong in tally.lost:
            print(f"    LOST {ascii(what)[1:-1]}\n         {wrong}", file=sys.stderr, flush=True)
    return tallies
