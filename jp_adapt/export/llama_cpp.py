"""What llama.cpp makes of a GGUF file: its ids, its probabilities and its chat prompts held against those of the model folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import httpx2
import numpy as np

from jp_adapt.core.errors import GateError, JpAdaptError
from jp_adapt.core.extras import missing_extra
from jp_adapt.export.gguf_check import PROBE_TEXTS
from jp_adapt.export.gguf_source import GgufSource
from jp_adapt.export.llama_server import llama_server
from jp_adapt.model.gguf_tensors import Array

PROBE_LENGTHS = (1, 8, 64, 250)  # tokens; the factors of long rotary embeddings are seen only far from the beginning
TOP = 500  # most likely tokens that are compared
MAX_DIFFERENCE = 1e-3  # of a log-probability, F32; measured 1e-4 on SmolLM2-135M
# KL of the folder's probabilities and llama.cpp's, nats. Beyond F16 it is the type's own rounding, and only what cannot be that is refused.
MAX_KL = {"F32": 1e-6, "F16": 1e-4, "BF16": 2e-2}
MAX_KL_QUANTISED = 1.0
CONVERSATIONS = (
    [{"role": "user", "content": "日本の首都は？"}],
    [{"role": "user", "content": "1+1は？"}, {"role": "assistant", "content": "2です。"}, {"role": "user", "content": "Why?"}],
    [{"role": "system", "content": "短く答えてください。"}, {"role": "user", "content": "空はなぜ青い？"}],
)


@dataclass(frozen=True)
class Likelihoods:
    """After each probe: ids of the most likely tokens in llama.cpp, and their log-probabilities there and in the model folder."""

    theirs: list[Array]
    ours: list[Array]

    @property
    def max_difference(self) -> float:
        return max(float(np.abs(one - other).max()) for one, other in zip(self.ours, self.theirs, strict=True))

    @property
    def kl(self) -> float:
        """Mean over the probes, in nats, among the tokens compared."""
        return float(np.mean([_kl(one, other) for one, other in zip(self.ours, self.theirs, strict=True)]))


def _kl(ours: Array, theirs: Array) -> float:
    ours, theirs = ours - np.log(np.exp(ours).sum()), theirs - np.log(np.exp(theirs).sum())
    return float((np.exp(ours) * (ours - theirs)).sum())


class LlamaCpp:
    """llama.cpp beside a model folder, which is computed once for all files of it."""

    def __init__(self, source: GgufSource) -> None:
        self.source = source
        self.probes = probe_ids(source)

    @cached_property
    def reference(self) -> Array | None:
        """[probes, V] the next token's log-probabilities in transformers in float32; None where the memory does not hold the model."""
        return None if too_large(self.source) else next_log_probabilities(self.source.folder, self.probes)

    def check(self, path: Path, kind: str) -> list[str]:
        """What was proven of the file, one line each, or why it was not. GateError where llama.cpp does otherwise than the folder."""
        if (missing := missing_extra("gguf")) is not None:
            return [f"not checked in llama.cpp: {missing}"]
        try:
            with llama_server(path, context=max(PROBE_LENGTHS) + 8, exact=True) as address, httpx2.Client(base_url=address, timeout=600) as client:
                lines = [_check_ids(self.source, client), _check_prompts(self.source, client)]
                if self.reference is None:
                    lines.append(f"probabilities in llama.cpp not compared: {too_large(self.source)}")
                else:
                    lines.append(_check_likelihoods(compare_likelihoods(client, self.probes, self.reference), kind))
        except httpx2.HTTPError as error:
            raise GateError(f"llama.cpp stopped while it was asked ({type(error).__name__}); the file was not kept") from error
        except GateError:
            raise
        except JpAdaptError as error:
            raise GateError(f"{error}; the file was not kept") from error
        return [line for line in lines if line]


def probe_ids(source: GgufSource) -> list[list[int]]:
    """Ids of a text of each of `PROBE_LENGTHS`, as far as the model's context goes."""
    ids: list[int] = []
    texts = [text for text in PROBE_TEXTS if "\0" not in text]
    while len(ids) < max(PROBE_LENGTHS):
        ids += source.loaded.tokenizer.encode("\n".join(texts))
    context = source.config.get("max_position_embeddings", max(PROBE_LENGTHS) + 1)
    return [ids[-length:] for length in PROBE_LENGTHS if length < context]


def tokenized(client: httpx2.Client, text: str, *, special: bool) -> list[int]:
    """llama.cpp's ids of a text, with nothing around it."""
    answer = client.post("/tokenize", json={"content": text, "add_special": False, "parse_special": special})
    return list(answer.raise_for_status().json()["tokens"])


def _check_ids(source: GgufSource, client: httpx2.Client) -> str:
    texts, tokenizer = list(PROBE_TEXTS), source.loaded.tokenizer
    texts += [f"日本{text} one" for text in sorted(tokenizer.special_texts)[:64]]
    differing = [text for text in texts if tokenized(client, text, special=True) != tokenizer.encode(text)]
    if differing and source.vocabulary.note is None:
        raise GateError(f"llama.cpp cuts {differing[0][:40]!r} otherwise than the tokenizer of {source.folder}; the file was not kept")
    return f"ids in llama.cpp: {len(differing)} of {len(texts)} probe texts differ"


def _check_prompts(source: GgufSource, client: httpx2.Client) -> str:
    """Chat prompts. A template that llama.cpp renders otherwise is said, and no reason to keep the file back: prompts can be rendered elsewhere."""
    template = source.templates.get("default")
    if template is None:
        return ""
    differing = compared = 0
    for messages in CONVERSATIONS:
        wanted = _rendered(source, template, messages)
        if wanted is None:
            continue
        compared += 1
        answer = client.post("/apply-template", json={"messages": messages})
        bos = source.vocabulary.tokens[source.ids["bos"]]
        differing += answer.is_error or answer.json()["prompt"].removeprefix(bos) != wanted.removeprefix(bos)
    return f"chat prompts in llama.cpp: {differing} of {compared} differ"


def _rendered(source: GgufSource, template: str, messages: Sequence[dict[str, str]]) -> str | None:
    """The prompt as transformers renders it; None for a conversation that the template refuses."""
    from jinja2.exceptions import TemplateError
    from transformers.utils.chat_template_utils import render_jinja_template

    names = {f"{name}_token": source.vocabulary.tokens[source.ids[name]] for name in ("bos", "eos", "unk", "pad") if name in source.ids}
    try:
        texts, _ = render_jinja_template(conversations=[list(messages)], chat_template=template, add_generation_prompt=True, **names)
    except (TemplateError, TypeError):
        return None
    return str(texts[0])


def too_large(source: GgufSource) -> str | None:
    """Why the model cannot be computed here in float32 beside llama.cpp; None where it can."""
    import psutil

    needed = 2 * 4 * sum(int(np.prod(tensor.shape, dtype=np.int64)) for tensor in source.tensors)
    free = psutil.virtual_memory().available
    return f"that takes {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free" if needed > free else None


def next_log_probabilities(folder: Path, prompts: Sequence[Sequence[int]]) -> Array:
    """[prompts, V] the next token's log-probabilities after each prompt, in float32."""
    import torch

    from jp_adapt.model.causal import load_causal

    model = load_causal(folder, torch.float32)
    with torch.inference_mode():
        rows = [model.logits(model(torch.tensor([list(ids)]))[0, -1:])[0].double() for ids in prompts]
        found: Array = torch.log_softmax(torch.stack(rows), dim=-1).numpy()
    return found


def compare_likelihoods(client: httpx2.Client, prompts: Sequence[Sequence[int]], reference: Array) -> Likelihoods:
    """The next token's log-probabilities after each prompt, in llama.cpp and in `reference` [prompts, V]."""
    ours, theirs = [], []
    for ids, row in zip(prompts, reference, strict=True):
        asked = {"prompt": list(ids), "n_predict": 1, "n_probs": min(TOP, len(row)), "temperature": 0, "cache_prompt": False, "post_sampling_probs": False}
        answer = client.post("/completion", json=asked).raise_for_status().json()
        likely = answer["completion_probabilities"][0]["top_logprobs"]
        theirs.append(np.array([entry["logprob"] for entry in likely]))
        ours.append(row[[entry["id"] for entry in likely]])
    return Likelihoods(theirs, ours)


def _check_likelihoods(found: Likelihoods, kind: str) -> str:
    limit = MAX_KL.get(kind, MAX_KL_QUANTISED)
    said = f"KL {found.kl:.1e} nats, largest difference of a log-probability {found.max_difference:.1e}"
    if not found.kl <= limit or (kind == "F32" and not found.max_difference <= MAX_DIFFERENCE):
        raise GateError(f"llama.cpp computes otherwise than the model folder: {said}, and at most {limit:.0e} is allowed for {kind}; the file was not kept")
    return f"probabilities in llama.cpp, against float32 in transformers: {said}"
