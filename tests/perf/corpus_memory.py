"""Peak memory of `corpus prepare --processes 2` on a corpus of --mb=N MB (1000 by default; asked: under 3 GB at 1 GB), and what of it grows with the corpus."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.perf.corpus_data import prepare, write_corpus, write_recipe
from tests.perf.options import option
from tests.perf.tokenizer_data import has_data


def main() -> None:
    if not has_data():
        return
    megabytes = option("mb", 1000.0)
    for size in (megabytes / 10, megabytes):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            chars = write_corpus(folder, size)
            run = prepare(write_recipe(folder), folder / "out", 2)
            speed = chars / run.seconds / 1e6
            print(f"  {size:7.0f} MB, {chars / 1e6:6.1f} M characters: peak {run.peak_bytes / 1e6:7.0f} MB (all processes), {speed:5.2f} M chars/s", flush=True)
