"""`corpus prepare` with all steps, decontamination against every benchmark there is data of, near duplicates, tokens and shards.

Characters a second with 1 and 2 processes in turn (asked: at least 1.7x), beside HojiChar's filters and datatrove's MinHash alone (corpus_peers; asked: at
least 1.5x), time per character over sizes (asked: flat), and the cost of a GB.

Options: --sizes=10,100 (MB; the ratio is taken at the first that is 30 or more, or at the last), --rounds=N (3), --no-peers. With 1000 among the sizes it takes
about half an hour a round on two cores (1000 MB are run once and only with 2 processes).
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from tests.perf.corpus_data import Run, prepare, run_command, write_corpus, write_recipe
from tests.perf.options import option
from tests.perf.tokenizer_data import has_data

ONCE_MB = 500.0  # from here on a size is run once, with 2 processes


def ours(folder: Path, processes: int) -> Run:
    shutil.rmtree(folder / "out", ignore_errors=True)
    return prepare(folder / "perf.yaml", folder / "out", processes)


def peers(folder: Path, processes: int) -> Run:
    shutil.rmtree(folder / "peers", ignore_errors=True)
    return run_command([sys.executable, "-m", "tests.perf.corpus_peers", str(folder), str(folder / "peers"), str(processes)])


def measure(folder: Path, megabytes: float, beside_peers: bool, start: Run) -> None:
    chars = write_corpus(folder, megabytes)
    if megabytes >= ONCE_MB:
        run = ours(folder, 2)
        print(
            f"  {megabytes:5g} MB, {chars / 1e6:6.1f} M characters, once: 2 processes {line(run, chars, start)}, peak {run.peak_bytes / 1e6:,.0f} MB",
            flush=True,
        )
        return
    rounds = [(ours(folder, 1), ours(folder, 2), peers(folder, 2) if beside_peers else None) for _ in range(option("rounds", 3))]
    entry, two = (sorted((round_[index] for round_ in rounds), key=lambda run: run.seconds)[len(rounds) // 2] for index in (0, 1))
    ratio = statistics.median(alone.seconds / both.seconds for alone, both, _ in rounds)
    serial = two.own_cpu_s / two.cpu_s
    print(f"  {megabytes:5g} MB, {chars / 1e6:6.1f} M characters: 1 process  {line(entry, chars, start)}")
    print(f"  {'':34}2 processes {line(two, chars, start)}: {ratio:.2f} x; one process alone does {serial:.1%} of the CPU time,", end="")
    print(f" so {2 / (1 + serial):.2f} x is the most", flush=True)
    if beside_peers:
        theirs = statistics.median(run.seconds for _, _, run in rounds if run is not None)
        faster = statistics.median(run.seconds / both.seconds for _, both, run in rounds if run is not None)
        print(f"  {'':34}HojiChar + datatrove's MinHash, 2 processes {chars / theirs / 1e6:5.2f} M chars/s: {faster:.2f} x our time", flush=True)
    hours = (entry.cpu_s - start.cpu_s) / 3600 * 1000 / megabytes
    print(f"  {'':34}{hours:.3f} core-hours (CPU time) a GB, and {start.cpu_s:.1f} s for the start", flush=True)


def line(run: Run, chars: int, start: Run) -> str:
    after = (run.seconds - start.seconds) / chars * 1e9
    return f"{run.seconds:7.1f} s, {chars / run.seconds / 1e6:5.2f} M chars/s, {run.seconds / chars * 1e9:6.0f} ns/char ({after:6.0f} without the start)"


def main() -> None:
    if not has_data():
        return
    wanted = [float(size) for size in option("sizes", "10,30,100").split(",")]
    at = next((size for size in wanted if ONCE_MB > size >= 30), wanted[-1])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_recipe(folder)
        write_corpus(folder, 0.05)
        start = sorted((ours(folder, 1) for _ in range(3)), key=lambda run: run.seconds)[1]
        print(f"  the start (imports, 25,000 benchmark items, tokenizer), of a corpus of 50 kB: {start.seconds:.1f} s", flush=True)
        for size in wanted:
            measure(folder, size, size == at and "--no-peers" not in sys.argv, start)


if __name__ == "__main__":
    main()
