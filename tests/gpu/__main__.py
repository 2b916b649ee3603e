"""`make gpu`: what a GPU computes against what a CPU does, and how fast; a table, and exit code 1 where something asked for was not reached.

    python -m tests.gpu [--toy] [--only=losses,attention]

With --toy it runs a tiny model on the CPU: so the script itself is tested where there is no GPU. A check that fails does not keep the others from running.
"""

from __future__ import annotations

import platform
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence

import torch

from tests.gpu import evaluation, kernels, training
from tests.gpu.rows import Row
from tests.gpu.scale import REAL, TOY, Scale

CHECKS: dict[str, Callable[[Scale], Iterator[Row]]] = {
    "losses": kernels.losses,
    "attention": kernels.attention,
    "sharded": training.sharded,
    "resumed": training.resumed,
    "speed": training.speed,
    "four_bits": training.four_bits,
    "scores": evaluation.scores,
    "peers": training.peers,
}


def run(arguments: Sequence[str]) -> int:
    """The exit code: 0 where all was reached, 1 where something was not, 2 where there is no GPU."""
    toy = "--toy" in arguments
    if not toy and not torch.cuda.is_available():
        print("no CUDA GPU: nothing was checked; --toy runs the same checks with a tiny model on the CPU")
        return 2
    only = next((argument.partition("=")[2].split(",") for argument in arguments if argument.startswith("--only=")), list(CHECKS))
    unknown = [name for name in only if name not in CHECKS]
    if unknown:
        print(f"no check '{unknown[0]}'; checks: {', '.join(CHECKS)}")
        return 2
    device = "a tiny model on the CPU" if toy else f"{torch.cuda.get_device_name()}, CUDA {torch.version.cuda}"
    print(f"{device}; {platform.system()} {platform.machine()}, Python {platform.python_version()}, {kernels.package_versions()}")
    rows: list[Row] = []
    for name in only:
        started = time.perf_counter()
        print(f"\n{name}", flush=True)
        try:
            for row in CHECKS[name](TOY if toy else REAL):
                rows.append(row)
                print(row, flush=True)
        except Exception as error:  # the other checks are worth their minutes all the same
            traceback.print_exc()
            rows.append(Row(name, f"{type(error).__name__}", "runs", False))
            print(rows[-1], flush=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        print(f"  ({time.perf_counter() - started:.0f} s)", flush=True)
    failed = sum(row.reached is False for row in rows)
    print(f"\n{sum(row.reached is True for row in rows)} reached, {failed} not reached, {sum(row.reached is None for row in rows)} for the record")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
