"""`python -m tests.parity.pfgen CLONE`: pfgen-bench's prompts and scores beside ours.

CLONE is pfnet-research/pfgen-bench at 03db7c4. Its `pfgen.py` is run as it is and makes the prompts of its first trial; the scores are those that it recorded
with answers of each model (`result_greedy/`, `result/`, as far as they are there), five a question.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jp_adapt.benchmarks.items import load_benchmark
from jp_adapt.evaluation.metrics.pfgen import pfgen_fluency, pfgen_helpfulness, pfgen_truthfulness
from jp_adapt.evaluation.prompts import build_prompts
from tests.peer_module import load_module

ROUNDED = 1e-5  # of what is recorded
NAME = "ja/pfgen-bench"


def main() -> int:
    """Print how many prompts and scores are equal; 1 where any is not."""
    clone = Path(sys.argv[1])
    with TemporaryDirectory() as data:
        (Path(data) / "pfgen").symlink_to(clone.resolve())
        _, prompts = build_prompts(load_benchmark(NAME, data), NAME.removeprefix("ja/"))
    peer, equal = load_module(clone / "pfgen.py"), 0
    for prompt in prompts:
        equal += peer.generate_task({"question": prompt.item.fields["question"]}, "completion", 1)["prompt"] == prompt.text
    recorded: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for path in sorted([*clone.glob("result_greedy/*/*/*/result.json"), *clone.glob("result/*/*/*/result.json")]):
        for question, entry in json.loads(path.read_text(encoding="utf-8"))["questions"].items():
            recorded[question] += entry["samples"]
    alike, answers = 0, 0
    for prompt in prompts:
        for sample in recorded[prompt.item.id]:
            theirs = (sum(sample["scores"]["fluency"].values()), sum(sample["scores"]["truthfulness"].values()), sample["scores"]["helpfulness"])
            ours = [score(sample["answer"], prompt.item.scored_by) for score in (pfgen_fluency, pfgen_truthfulness, pfgen_helpfulness)]
            alike += all(abs(own - their) < ROUNDED for own, their in zip(ours, theirs, strict=True))
            answers += 1
    print(f"{equal} of {len(prompts)} prompts equal; {alike:,} of {answers:,} recorded answers scored alike")
    return 0 if (equal, alike) == (len(prompts), answers) else 1


if __name__ == "__main__":
    sys.exit(main())
