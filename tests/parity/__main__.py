"""`python -m tests.parity --peer NAME=CLONE --data DIR`: what peers ask, by their own code, beside what we ask, on all items."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmark_files import write_benchmark_files
from tests.parity.compare import Peer, Row, compared, ours, table
from tests.parity.flexeval import release_0_18
from tests.parity.golden import golden_of, golden_path, write_golden
from tests.parity.llm_jp_eval import release_1_1, release_1_3
from tests.parity.stability import jnli_1_1, last_tasks, swallow

PEERS: dict[str, Peer] = {
    "llm-jp-eval-1.1": release_1_1,
    "llm-jp-eval-1.3": release_1_3,
    "flexeval": release_0_18,
    "stability": last_tasks,
    "stability-jnli-1.1": jnli_1_1,
    "swallow": swallow,
}


def main() -> int:
    """Print the table; 1 where anything differs."""
    parser = argparse.ArgumentParser(prog="python -m tests.parity", description=__doc__)
    parser.add_argument("--peer", action="append", required=True, metavar="NAME=CLONE", help=f"a peer and where its sources lie: {', '.join(PEERS)}")
    parser.add_argument("--data", type=Path, help="folder with the benchmarks' repositories, as for jp-adapt eval; without it invented files are taken")
    parser.add_argument("--show", action="store_true", help="show the first difference of each benchmark")
    parser.add_argument("--golden", action="store_true", help="write what the peers ask as golden files")
    args = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        data = args.data or write_benchmark_files(work / "data")
        for peer in args.peer:
            name, _, clone = peer.partition("=")
            if name not in PEERS:
                parser.error(f"no peer '{name}'; peers: {', '.join(PEERS)}")
            golden: dict[str, dict[str, Any]] = {}
            for (benchmark, profile), questions in PEERS[name](Path(clone), data, work).items():
                known, _, count = profile.partition("/")
                shots = int(count.removesuffix("-shot")) if count else None
                rows.append(compared(benchmark, profile, ours(benchmark, known, data, shots), questions))
                if args.golden and rows[-1].equal and (shots != 0 or args.data is None):  # without examples invented data says as much
                    golden[f"{benchmark}@{profile}"] = golden_of(benchmark, known, shots, data, questions)
            if args.golden:
                write_golden(golden_path(name, args.data is None), golden)
    print(table(rows))
    different = [row for row in rows if not row.equal]
    if args.show:
        for row in different:
            print(f"\n{row.benchmark} {row.profile}\n{row.first_difference}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
