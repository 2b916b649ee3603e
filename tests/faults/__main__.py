"""`python -m tests.faults`: every odd input, and every command stopped, starved and shut out; prints what was tried, survived and lost.

python -m tests.faults                     # all of it: half an hour on two idle cores
python -m tests.faults --only recipes      # one kind of input, or one command
python -m tests.faults --share 0.1         # a tenth
python -m tests.faults --seed 1            # other cases
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

STOPS = {"corpus prepare": 14, "tokenizer extend": 8, "judge": 12, "run": 14, "eval": 9, "export": 7}  # kill -9 of each, and SIGTERM as often
STARVED = 6  # short files and full disks of each
SHUT_OUT = 5


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="kinds of input or commands whose name holds this")
    parser.add_argument("--share", type=float, default=1.0, help="of the cases (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="other numbers give other cases (default: 0)")
    parser.add_argument("--no-inputs", action="store_true", help="leave the odd inputs out")
    parser.add_argument("--no-stops", action="store_true", help="leave the stopped commands out")
    args = parser.parse_args()

    import jinja2  # noqa: F401 (loaded once, here, and not in every fork)
    import numpy  # noqa: F401
    import pydantic  # noqa: F401
    import tokenizers  # noqa: F401
    import yaml  # noqa: F401

    import jp_adapt.cli.main
    from tests.faults.campaign import HEADER, Tally, try_inputs
    from tests.faults.kills import SECONDS, can_mount, jobs, try_job
    from tests.faults.runner import run
    from tests.faults.world import make_base, make_world
    from tests.judge_server import judge_server

    print(HEADER, file=sys.stderr)
    tallies: list[Tally] = []
    with tempfile.TemporaryDirectory(prefix="jp-adapt-faults-") as name:
        root = Path(name)
        world = make_world(root / "world", make_base(root / "base"))
        if not args.no_inputs:
            tallies += try_inputs(world, root / "scratch", share=args.share, seed=args.seed, only=args.only)
        if not args.no_stops and any(args.only in job for job in STOPS):
            import torch  # noqa: F401
            import transformers  # noqa: F401

            import jp_adapt.commands.evaluate
            import jp_adapt.pipeline.stages.kinds  # noqa: F401
            from tests.conftest import make_pico

            world = make_world(root / "trained", make_pico(root / "pico"))
            done = run(["run", str(world.recipe), "--out", "out"], root, seconds=SECONDS)
            adapter = root / "out" / "stages" / "cpt" / "final" if done.code == 0 else None
            mounts = can_mount(root)
            with judge_server(pause_s=0.02) as server:
                for job in jobs(world, server.url, adapter):
                    if args.only in job.name:
                        stops, rest = max(1, round(STOPS[job.name] * args.share)), max(1, round(STARVED * args.share))
                        counts = {"kill -9": stops, "SIGTERM": stops, "short files": rest, "closed folder": max(1, round(SHUT_OUT * args.share))}
                        tallies += try_job(job, root / "scratch", counts=counts | ({"full disk": rest} if mounts else {}), seed=args.seed)
    tried, lost = sum(tally.tried for tally in tallies), sum(len(tally.lost) for tally in tallies)
    print(HEADER)
    for tally in tallies:
        print(tally.line())
    print(f"{tried:,} tried, {tried - lost:,} survived, {lost} lost")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
