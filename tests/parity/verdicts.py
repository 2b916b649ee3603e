"""`python -m tests.parity.verdicts CLONE`: recorded verdicts of M-IFEval, on answers of 17 models, beside those of our checks.

CLONE is lightblue-tech/M-IFEval at 0bc3143. Nothing of it is run: its folder `evaluations` has each answer with what its checkers said of it.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jp_adapt.benchmarks.checks import check_texts
from jp_adapt.evaluation.checks.functions import passed


def _records(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8").split("\n"):
        if line:
            yield json.loads(line)


def compare_verdicts(clone: Path, language: str) -> tuple[Counter[str], Counter[str], dict[str, float]]:
    """(all verdicts, those that differ from ours) by instruction, strict and loose together; and our strict accuracy of instructions by model."""
    accuracies: dict[str, float] = {}
    verdicts: Counter[str] = Counter()
    different: Counter[str] = Counter()
    checks = {
        record["prompt"]: check_texts([name.removeprefix("en:") for name in record["instruction_id_list"]], record["kwargs"])
        for record in _records(clone / "data" / f"{language}_input_data.jsonl")
    }
    for path in sorted((clone / "evaluations").glob(f"{language}_input_response_data_*/eval_results_*.jsonl")):
        followed: list[bool] = []
        for record in _records(path):
            ours = passed(record["response"] or "", checks[record["prompt"]], loose=path.stem.endswith("loose"))
            followed += ours
            verdicts.update(record["instruction_id_list"])
            different.update(name for name, a, b in zip(record["instruction_id_list"], ours, record["follow_instruction_list"], strict=True) if a != b)
        if path.stem.endswith("strict"):
            accuracies[path.parent.name.partition("response_data_")[2]] = sum(followed) / len(followed)
    return verdicts, different, accuracies


def main() -> int:
    """Print how many verdicts are equal, and which are not."""
    for language in ("ja", "en"):
        verdicts, different, accuracies = compare_verdicts(Path(sys.argv[1]), language)
        print(f"{language}: {verdicts.total() - different.total():,} of {verdicts.total():,} equal")
        for name, number in different.most_common():
            print(f"  {name}: {number} of {verdicts[name]} differ")
        for model, accuracy in sorted(accuracies.items(), key=lambda entry: -entry[1]):
            print(f"  {100 * accuracy:.1f} {model}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
