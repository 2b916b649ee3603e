"""`make perf`: each benchmark runs its contenders in turn, A B A B ..., and prints the median ratio. Only ratios within one run mean something."""

from __future__ import annotations

import platform
import sys
from importlib import import_module, metadata

BENCHMARKS = ("attention", "train_step")


def run() -> None:
    wanted = sys.argv[1:] or BENCHMARKS
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("torch", "transformers", "peft"))
    print(f"{platform.system()} {platform.machine()}, Python {platform.python_version()}, {versions}")
    for name in wanted:
        print(f"\n{name}")
        import_module(f"tests.perf.{name}").main()


if __name__ == "__main__":
    run()
