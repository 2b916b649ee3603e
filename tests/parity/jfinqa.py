"""`python -m tests.parity.jfinqa CLONE`: JFinQA's own metrics beside ours, on the answers of models that it recorded.

CLONE is ajtgjmdjp/jfinqa at 04831da. Its `src/jfinqa/_metrics.py` is run as it is. Each answer is compared as it was extracted there, and by the last 30
characters of the raw text, which are seldom a bare number.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from jp_adapt.evaluation.metrics.finance import jfinqa_exact_match, jfinqa_numerical_match
from tests.peer_module import load_module


def main() -> int:
    """Print how many pairs are scored alike; 1 where any is not."""
    clone = Path(sys.argv[1])
    theirs, pairs, different = load_module(clone / "src" / "jfinqa" / "_metrics.py"), 0, 0
    for path in sorted((clone / "scripts" / "data" / "baselines").glob("*predictions.json")):
        for record in json.loads(path.read_text(encoding="utf-8")).values():
            for answer in (record.get("predicted") or "", (record.get("raw_response") or "")[-30:]):
                pairs += 1
                ours = bool(jfinqa_exact_match(answer, record["gold"])), bool(jfinqa_numerical_match(answer, record["gold"]))
                different += ours != (theirs.exact_match(answer, record["gold"]), theirs.numerical_match(answer, record["gold"]))
    print(f"{pairs - different:,} of {pairs:,} pairs scored alike")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
