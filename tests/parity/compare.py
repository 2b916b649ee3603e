"""What a peer asks beside what we ask: every item of a benchmark, counted."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jp_adapt.benchmarks.items import LoadedBenchmark, load_benchmark
from jp_adapt.core.errors import InputError
from jp_adapt.evaluation.prompts import build_prompts


@dataclass(frozen=True)
class Asked:
    """One item as it is asked: the text, examples included, before the answer; what the answers or choices are; which of them is right."""

    prompt: str
    answers: tuple[str, ...]
    right: int | None = None


@dataclass(frozen=True)
class Questions:
    """A benchmark as it is asked: its items, in order, the budget and the texts that end a generated answer (None where a peer has none); our ids."""

    items: list[Asked]
    budget: int | str | None = None
    stops: tuple[str, ...] | None = None
    ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """A benchmark of ours and of a peer: the number of its items on both sides, and of those that are equal."""

    benchmark: str
    profile: str
    ours: int
    theirs: int
    prompts: int
    answers: int
    budget: bool
    stops: bool | None
    first_difference: str

    @property
    def equal(self) -> bool:
        """Everything is."""
        return self.ours == self.theirs == self.prompts == self.answers and self.budget and self.stops is not False


Peer = Callable[[Path, Path, Path], dict[tuple[str, str], Questions]]  # (clone, data, folder to work in) -> (benchmark, profile) -> what it asks


def load_if_there(benchmark: str, data: Path) -> LoadedBenchmark | None:
    """A benchmark with its items. None, and why on stderr, where its data is not whole."""
    try:
        return load_benchmark(benchmark, data)
    except InputError as error:
        print(f"left out: {benchmark}: {error}", file=sys.stderr)
        return None


def ours(benchmark: str, profile: str, data: Path, shots: int | None = None) -> Questions:
    """What we ask."""
    loaded = load_benchmark(benchmark, data)
    protocol, prompts = build_prompts(loaded, profile, shots=shots)
    items = [Asked(prompt.text, tuple(prompt.choices or prompt.answers), prompt.item.answer if prompt.choices else None) for prompt in prompts]
    return Questions(items, protocol.max_tokens, tuple(protocol.stop), tuple(prompt.item.id for prompt in prompts))


def compared(benchmark: str, profile: str, own: Questions, peer: Questions) -> Row:
    """The two side by side, item by item."""
    pairs = list(zip(own.items, peer.items, strict=False))
    different = next((f"ours: {a.prompt!r} {a.answers}\ntheirs: {b.prompt!r} {b.answers}" for a, b in pairs if a != b), "")
    return Row(
        benchmark=benchmark,
        profile=profile,
        ours=len(own.items),
        theirs=len(peer.items),
        prompts=sum(a.prompt == b.prompt for a, b in pairs),
        answers=sum((a.answers, a.right) == (b.answers, b.right) for a, b in pairs),
        budget=peer.budget == own.budget,
        stops=None if peer.stops is None else peer.stops == own.stops,
        first_difference=different,
    )


def table(rows: Sequence[Row]) -> str:
    """The rows as a table of Markdown."""
    lines = ["| benchmark | profile | items | prompts equal | answers equal | budget | stops |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        items = f"{row.ours}" if row.ours == row.theirs else f"{row.ours}, theirs {row.theirs}"
        stops = "theirs has none" if row.stops is None else "equal" if row.stops else "DIFFER"
        budget = "equal" if row.budget else "DIFFERS"
        lines.append(f"| {row.benchmark} | {row.profile} | {items} | {row.prompts} | {row.answers} | {budget} | {stops} |")
    return "\n".join(lines)


def fingerprint(item: Asked) -> str:
    """A hash of all that an item asks and holds to be right: it says whether two are equal, and gives away nothing of the data."""
    return hashlib.sha256("\0".join([item.prompt, *item.answers, str(item.right)]).encode()).hexdigest()[:16]
