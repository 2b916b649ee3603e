"""A prepared corpus for the page: its sources, and what each step did to them, with samples of what was dropped."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from jp_adapt.corpus.figures import REPORT, CorpusFigures
from jp_adapt.corpus.steps import StepCounts
from jp_adapt.report.corpus_page import script_label
from jp_adapt.report.differences import differences

MOST_SAMPLES = 20  # of a step


def corpus_view(folder: Path) -> dict[str, Any]:
    """The figures of report.json; InputError where it is none."""
    figures = CorpusFigures.read(folder / REPORT)
    return {
        "name": folder.name,
        "document_end": figures.document_end,
        "sources": [
            {
                "name": source.name,
                "documents": source.documents,
                "characters": source.characters,
                "tokens": source.tokens,
                "chars_per_token": source.characters / source.tokens if source.tokens else None,
                "lengths": source.lengths,
                "scripts": {script_label(name): characters for name, characters in source.scripts.items()},
                "unread": source.problems.count,
                "first_unread": source.problems.first,
            }
            for source in figures.sources
        ],
        "steps": [_step(name, by_source) for name, by_source in figures.steps.items()],
    }


def _step(name: str, by_source: dict[str, StepCounts]) -> dict[str, Any]:
    """A step over all sources: documents in, dropped by reason, changed."""
    dropped: Counter[str] = Counter()
    samples, pairs = [], []
    for source, counts in by_source.items():
        dropped.update({reason: documents for reason, (documents, _) in counts.dropped.items()})
        for pair in counts.pairs:
            dropped_text, kept_text = differences(pair.text, pair.kept)
            pairs.append({"source": source, "place": pair.place, "text": dropped_text, "kept_place": pair.kept_place, "kept": kept_text})
        samples += [{"source": source, "reason": reason, "place": one.place, "text": one.text} for reason, kept in counts.samples.items() for one in kept]
    return {
        "name": name,
        "documents": sum(counts.documents_in for counts in by_source.values()),
        "changed": sum(counts.documents_changed for counts in by_source.values()),
        "dropped": dict(dropped.most_common()),
        "samples": samples[:MOST_SAMPLES],
        "pairs": pairs[:MOST_SAMPLES],
    }
