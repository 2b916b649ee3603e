"""Log-likelihoods and greedy texts on the device: equal to those of the CPU, tokens per second, and vLLM beside them."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from jp_adapt.inference.generate import Continuation, generate
from jp_adapt.inference.score import log_likelihoods
from jp_adapt.inference.trie import Request
from jp_adapt.model.causal import CausalModel
from tests.gpu.rows import Row, at_most
from tests.gpu.scale import Scale, random_base, write_base

CHOICES = 4
NEW_TOKENS = 32


def scores(scale: Scale) -> Iterator[Row]:
    """Choices that share their prompts, as benchmarks ask them; and greedy continuations of the prompts."""
    items = 4 if scale.device == "cpu" else 64
    prompts = _prompts(scale, items)
    requests = [Request([*prompt, 7 + choice, 11], len(prompt)) for prompt in prompts for choice in range(CHOICES)]
    model = CausalModel(random_base(scale, scale.dtype))
    seconds, ours = _timed(lambda: log_likelihoods(model, requests, max_tokens=4096))
    scored = sum(len(request.ids) for request in requests)
    yield Row("log-likelihoods", f"{scored / seconds:,.0f} prompt tokens/s")
    asked = [Continuation(prompt, NEW_TOKENS) for prompt in prompts]
    seconds, texts = _timed(lambda: generate(model, asked, lambda ids: " ".join(map(str, ids)), stop_ids=[]))
    yield Row("greedy texts", f"{sum(text.tokens for text in texts) / seconds:,.0f} new tokens/s")
    few = requests[: 2 * CHOICES]
    exact = log_likelihoods(CausalModel(random_base(scale, scale.dtype).to("cpu", torch.float32)), few, max_tokens=4096)
    apart = max(abs(own - other) for own, other in zip(ours[: len(few)], exact, strict=True))
    yield at_most("log-likelihoods against float32 on the CPU, nats", apart, 1e-3 if scale.dtype == torch.float32 else 0.3)
    yield from _vllm(scale, requests, ours)


def _prompts(scale: Scale, items: int) -> list[list[int]]:
    generator = torch.Generator().manual_seed(3)
    shared = torch.randint(1, scale.architecture.vocab_size, (scale.length // 4,), generator=generator).tolist()
    return [shared + torch.randint(1, scale.architecture.vocab_size, (8 + item % 5,), generator=generator).tolist() for item in range(items)]


def _vllm(scale: Scale, requests: list[Request], ours: list[float]) -> Iterator[Row]:
    if scale.device != "cuda" or not find_spec("vllm"):
        yield Row("vLLM", "not measured: " + ("no GPU" if scale.device != "cuda" else "not installed"))
        return
    import vllm

    with tempfile.TemporaryDirectory() as folder:
        write_base(scale, Path(folder))
        torch.cuda.empty_cache()
        engine = vllm.LLM(model=folder, skip_tokenizer_init=True, dtype="bfloat16", max_model_len=4096, gpu_memory_utilization=0.5, trust_remote_code=False)
        settings = vllm.SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=0, detokenize=False)
        asked = [vllm.TokensPrompt(prompt_token_ids=request.ids) for request in requests]
        seconds, outputs = _timed(lambda: engine.generate(asked, settings, use_tqdm=False))
    theirs = [_sum(output.prompt_logprobs, request) for output, request in zip(outputs, requests, strict=True)]
    yield Row("log-likelihoods, vLLM", f"{sum(len(request.ids) for request in requests) / seconds:,.0f} prompt tokens/s")
    yield at_most("log-likelihoods against vLLM, nats", max(abs(own - other) for own, other in zip(ours, theirs, strict=True)), 0.3)


def _sum(given: Any, request: Request) -> float:
    return float(sum(given[at][request.ids[at]].logprob for at in range(request.first, len(request.ids))))


def _timed(work: Any) -> tuple[float, Any]:
    """Seconds and result of the second of two rounds."""
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    started = time.perf_counter()
    result = work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started, result
