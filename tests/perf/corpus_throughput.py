"""Characters a second of `corpus prepare` with 1 and 2 processes, in turn (asked: at least 1.7x), and time per character over sizes (asked: flat)."""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from tests.perf.corpus_data import prepare, write_corpus, write_recipe
from tests.perf.tokenizer_data import has_data

SIZES_MB = (10.0, 30.0, 100.0)
ROUNDS = 3


def main() -> None:
    if not has_data():
        return
    sizes = [float(argument.removeprefix("--mb=")) for argument in sys.argv if argument.startswith("--mb=")] or list(SIZES_MB)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for size in sizes:
            chars = write_corpus(folder / "corpus.jsonl", size)
            recipe = write_recipe(folder)
            runs = [[prepare(recipe, folder / f"out-{size}-{number}-{processes}", processes).seconds for processes in (1, 2)] for number in range(ROUNDS)]
            one, two = (statistics.median(run[index] for run in runs) for index in (0, 1))
            ratio = statistics.median(run[0] / run[1] for run in runs)
            print(f"  {size:6.0f} MB, {chars / 1e6:6.1f} M characters: 1 process {one / chars * 1e9:6.0f} ns/char, {chars / one / 1e6:5.2f} M chars/s;", end="")
            print(f" 2 processes {chars / two / 1e6:5.2f} M chars/s, {ratio:4.2f} x", flush=True)
