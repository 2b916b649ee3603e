"""Merges of real models, element by element beside mergekit's: `python -m tests.perf merging_parity --mergekit=PYTHON --base=DIR --models=DIR,DIR`.

PYTHON is that of an environment with mergekit 0.1.5 (LGPL-3.0: a peer, never a dependency). BASE and models are folders of one vocabulary; the recipes
are mergekit's, and ours are made of them by `from-mergekit`, so that this is a test of both. Time and peak memory of both are printed too.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from jp_adapt.merging.checkpoint import FolderWeights
from tests.perf.options import option

WEIGHTS, DENSITIES = (0.7, 0.5, 0.4), (0.4, 0.6, 0.5)


@dataclass(frozen=True)
class Done:
    """A command's time by the clock and of the processor in seconds, and its peak memory in MB."""

    seconds: float
    processor_s: float
    peak_mb: float


def configurations(base: str, models: list[str], dtype: str) -> dict[str, dict[str, Any]]:
    """mergekit's YAML for each method, by name."""

    def entries(*parameters: str) -> list[dict[str, Any]]:
        values = {"weight": WEIGHTS, "density": DENSITIES}
        return [{"model": model, "parameters": {name: values[name][index] for name in parameters}} for index, model in enumerate(models)]

    layers = FolderWeights(Path(base)).tensors
    count = 1 + max(int(name.split(".")[2]) for name in layers if name.startswith("model.layers."))
    half = count // 2
    common = {"dtype": dtype}
    gradient = [{"filter": "self_attn", "value": [0, 0.5, 1]}, {"filter": "mlp", "value": [1, 0]}, {"value": 0.5}]
    stacked = [{"sources": [{"model": base, "layer_range": [0, half + 1]}]}, {"sources": [{"model": models[0], "layer_range": [half - 1, count]}]}]
    return {
        "linear": {"merge_method": "linear", "models": entries("weight")} | common,
        "slerp": {"merge_method": "slerp", "base_model": base, "models": [{"model": models[0]}], "parameters": {"t": gradient}} | common,
        "task_arithmetic": {"merge_method": "task_arithmetic", "base_model": base, "models": entries("weight")} | common,
        "ties": {"merge_method": "ties", "base_model": base, "models": entries("weight", "density")} | common,
        "model_stock": {"merge_method": "model_stock", "base_model": base, "models": entries()} | common,
        "sce": {"merge_method": "sce", "base_model": base, "models": entries(), "parameters": {"select_topk": 0.5}} | common,
        "passthrough": {"merge_method": "passthrough", "slices": stacked} | common,
    }


def timed(command: list[str]) -> Done:
    """Run a command under GNU time's numbers, taken from the child's own record."""
    code = "import resource, subprocess, sys; code = subprocess.call(sys.argv[1:], stdout=2); used = resource.getrusage(resource.RUSAGE_CHILDREN); "
    code += "print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024); sys.exit(code)"
    started = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    processor_s, peak_mb = map(float, done.stdout.split()[-2:])
    return Done(time.perf_counter() - started, processor_s, peak_mb)


def mergekit(python: str, recipe: Path, out: Path) -> Done:
    """A merge by mergekit, which reads one tensor after the other."""
    return timed([python, "-m", "mergekit.scripts.run_yaml", str(recipe), str(out), "--lazy-unpickle"])


def jp_adapt(recipe: Path, out: Path) -> Done:
    """The same merge by jp-adapt."""
    taken_over = subprocess.run([sys.executable, "-m", "jp_adapt", "merge", "from-mergekit", str(recipe)], capture_output=True, check=True)
    (recipe.parent / "merge.yaml").write_bytes(taken_over.stdout)
    return timed([sys.executable, "-m", "jp_adapt", "merge", "models", str(recipe.parent / "merge.yaml"), "--out", str(out)])


def compare(ours: Path, theirs: Path) -> str:
    """Largest difference, how many elements differ by more than 1e-6, and how many tensors are equal to the bit."""
    entry, other = FolderWeights(ours), FolderWeights(theirs)
    names = [name for name in entry.tensors if name in other.tensors]
    largest, beyond, elements, equal = 0.0, 0, 0, 0
    for name in names:
        a, b = entry.read(name), other.read(name)
        difference = (a.to(torch.float32) - b.to(torch.float32)).abs()
        largest, beyond = max(largest, float(difference.max())), beyond + int((difference > 1e-6).sum())
        elements, equal = elements + difference.numel(), equal + int(torch.equal(a, b))
    missing = sorted(entry.tensors.keys() ^ other.tensors.keys())
    return f"largest {largest:.1e}   beyond 1e-6: {beyond:,} of {elements:,}   equal tensors {equal}/{len(names)}" + (
        f"   in one only: {missing}" if missing else ""
    )


def main() -> None:
    python, base, models = option("mergekit", ""), option("base", ""), option("models", "")
    if not (python and base and models):
        raise SystemExit(__doc__)
    only = option("only", "")
    for name, configuration in configurations(base, models.split(","), option("dtype", "float32")).items():
        if only and name not in only.split(","):
            continue
        with tempfile.TemporaryDirectory(dir=option("scratch", "") or None) as scratch:
            folder = Path(scratch)
            (folder / "kit.yaml").write_text(yaml.safe_dump(configuration), encoding="utf-8")
            theirs = mergekit(python, folder / "kit.yaml", folder / "theirs")
            ours = jp_adapt(folder / "kit.yaml", folder / "ours")
            print(f"  {name:<16} {compare(folder / 'ours', folder / 'theirs')}")
            print(f"  {'':<16} ours {ours.seconds:.1f} s, {ours.peak_mb:,.0f} MB   mergekit {theirs.seconds:.1f} s, {theirs.peak_mb:,.0f} MB", flush=True)
