"""What the tasks that `jp-adapt eval export-lm-eval` writes call to score a generated text: the scorers of `jp-adapt eval`, on a line of the exported JSONL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jp_adapt.benchmarks.benchmark import Protocol
from jp_adapt.evaluation.scoring import score_text

SCORING = ("max_chars", "extract", "normalise", "metrics", "language")  # of a protocol, in the field `scoring` of every line


def process_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float | None]:
    """Every metric of one item; lm-eval takes the mean over items."""
    protocol = Protocol.model_validate({"prompt": "", **doc["scoring"]})
    return score_text(results[0], protocol, doc["answers"])[1]
