"""Whether answers depend on what they are computed beside: items are asked again, alone and in other batches, and answers that flip are counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from jp_adapt.evaluation.results import BatchCheck, Flips, Output
from jp_adapt.inference.backend import Backend

Entry = TypeVar("Entry")


def spread(entries: Sequence[Entry], count: int) -> list[Entry]:
    """At most `count` of the entries, at even distances."""
    count = min(count, len(entries))
    return [entries[at * len(entries) // count] for at in range(count)]


def check_batches(outputs: Sequence[Output], ask_again: Callable[[Backend, bool], list[Output]], backend: Backend) -> BatchCheck:
    """How many of the answers that `ask_again` gives differ from those in `outputs`, and by how many nats at most log-likelihoods do.

    `ask_again` takes a backend and whether the items come in reverse. "alone": one request at a time; "together": the chosen items in batches of their own.
    """
    first = {output.item: output for output in outputs}
    results = []
    for one_at_a_time in (True, False):
        again = ask_again(backend.again(one_at_a_time=one_at_a_time), not one_at_a_time)
        results.append([(first[output.item], output) for output in again])
    alone, together = map(_flips, results)
    return BatchCheck(len(results[-1]), alone, together)


def _flips(pairs: Sequence[tuple[Output, Output]]) -> Flips:
    """What changed between the first and the second time."""
    differences = (abs(a - b) for before, after in pairs for a, b in zip(before.log_likelihoods or (), after.log_likelihoods or (), strict=True))
    changed = sum((before.prediction, before.generation) != (after.prediction, after.generation) for before, after in pairs)
    return Flips(changed, max(differences, default=None))


def as_line(report: BatchCheck) -> str:
    """The report in words."""
    parts = []
    for flips, words in ((report.alone, "one at a time"), (report.together, "in other batches")):
        gap = flips.largest_difference_nats
        parts.append(f"{flips.flips} {words}" + ("" if gap is None else f" (up to {gap:.1e} nats apart)"))
    return f"of {report.answers} answers asked again fell otherwise: {', '.join(parts)}"
