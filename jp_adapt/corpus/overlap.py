"""The table of overlap between a training corpus and benchmarks, as the corpus steps write it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from jp_adapt.core.errors import InputError
from jp_adapt.core.files import read_json_lines
from jp_adapt.corpus.steps import StepCounts


def overlap_lines(steps: Mapping[str, Mapping[str, StepCounts]]) -> str:
    """The table as lines, from the counts of a corpus's steps: each benchmark item that a document contained, with the largest share of it in one document."""
    shares: dict[str, float] = {}
    for counts in (counts for sources in steps.values() for counts in sources.values()):
        for item, (_, share) in counts.matches.items():
            shares[item] = max(share, shares.get(item, 0.0))
    lines = []
    for key, share in sorted(shares.items()):
        benchmark, _, item = key.partition(":")
        lines.append(json.dumps({"benchmark": benchmark, "item": item, "share": min(share, 1.0)}, ensure_ascii=False) + "\n")
    return "".join(lines)


def read_overlap(path: Path) -> dict[str, dict[str, float]]:
    """benchmark -> item -> share (0 to 1) of the item's text that stands in the corpus, from lines {"benchmark", "item", "share"}.

    The largest share of an item counts. InputError, with file:line, for a line that is none of these.
    """
    results: dict[str, dict[str, float]] = {}
    for place, value in read_json_lines(path):
        try:
            benchmark, item, share = str(value["benchmark"]), str(value["item"]), float(value["share"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f'{place}: expected {{"benchmark": ..., "item": ..., "share": 0 to 1}} ({type(error).__name__}: {error})') from error
        if not 0 <= share <= 1:
            raise InputError(f"{place}: share is {share}, and it lies between 0 and 1")
        items = results.setdefault(benchmark, {})
        items[item] = max(share, items.get(item, 0.0))
    return results
