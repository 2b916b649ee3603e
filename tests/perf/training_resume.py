"""kill -9 at ten random moments of training, with one process and with two: are the final weights those of an undisturbed run, bit for bit?

A check too slow for the tests (about four minutes), on a small random Llama in float32. Options: --kills=N (10), --seed=N (0).
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from tests.conftest import make_pico
from tests.perf.options import option
from tests.recipes import write_small_recipe
from tests.training.test_ranks import arguments, weights


def main() -> None:
    generator = random.Random(option("seed", 0))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = write_small_recipe(folder / "recipe", make_pico(folder / "base"))
        text = path.read_text(encoding="utf-8")
        path.write_text(text[: text.index("  - {id: model")].replace("tokens: 2500", "tokens: 25000"), encoding="utf-8")
        for processes in (1, 2):
            straight, killed = folder / f"straight-{processes}", folder / f"killed-{processes}"
            subprocess.run(_command(path, straight, processes), check=True, capture_output=True)
            steps = []
            for _ in range(option("kills", 10)):
                steps.append(_kill(_command(path, killed, processes), killed, generator))
            subprocess.run(_command(path, killed, processes), check=True, capture_output=True)
            same = all(torch.equal(value, weights(killed, stage)[key]) for stage in ("rows", "cpt") for key, value in weights(straight, stage).items())
            print(f"  {processes} process(es), killed after {steps}: weights {'equal bit for bit' if same else 'DIFFER'}", flush=True)


def _command(recipe: Path, out: Path, processes: int) -> list[str]:
    return [sys.executable, "-m", "jp_adapt", *arguments(recipe, out), "--processes", str(processes)]


def _kill(command: list[str], out: Path, generator: random.Random) -> str:
    """Start the run, wait until it trains, then a random moment more, and kill it; where it stood comes back."""
    before = _where(out)
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while _where(out) == before and process.poll() is None:
        time.sleep(0.002)
    time.sleep(generator.random() * 0.25)
    if process.poll() is not None:
        raise SystemExit("the run ended before it could be killed; give it more tokens")
    process.kill()
    process.wait()
    time.sleep(1.0)  # the launcher's processes end when it does
    return _where(out)


def _where(out: Path) -> str:
    results = [(path.parent.name, path.read_bytes().count(b"\n")) for path in sorted(out.glob("stages/*/metrics.jsonl"), reverse=True)]
    return " ".join(f"{stage}:{lines}" for stage, lines in results) or "start"
