"""What llama.cpp makes of a GGUF file: its ids, its probabilities and its chat prompts held against those of the model folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

import httpx2
import numpy as np

from jp_adapt.core.documents import record_from
from jp_adapt.core.errors import GateError, InputError, JpAdaptError
from jp_adapt.core.extras import missing_extra
from jp_adapt.core.foreign_json import parse_json
from jp_adapt.export.gguf_check import PROBE_TEXTS
from jp_adapt.export.gguf_source import GgufSource
from jp_adapt.export.llama_server import llama_server
from jp_adapt.inference.text_side import ChatFormat
from jp_adapt.model.gguf_tensors import Array
from jp_adapt.text.chat_jinja import DATE_FORMAT
from jp_adapt.tokenizer.verify import HOSTILE_TEXTS

# Tokens of a text after which the next one's probabilities are compared; the factors of long rotary embeddings are seen only far from the beginning.
PROBE_LENGTHS = (*range(1, 65), 100, 150, 200, 250)
NEW_DIGIT = "a\U00010d40b \U00010d40!\U00010d401"  # of Garay, Unicode 16; letters of new scripts are cut alike (tests/perf/export_tokens.py)
NEW_DIGITS = "it does not know the digits of Unicode 16 as digits, and cuts texts that hold them otherwise"
MAX_COST = 0.02  # of a type's rounding, as a share of what the text costs the model; above it is said
TOP = 500  # most likely tokens that are compared
MAX_DIFFERENCE = 1e-3  # of a log-probability, F32; measured 1e-4 on SmolLM2-135M
# KL of the folder's probabilities and llama.cpp's, nats. Beyond F16 it is the type's own rounding, and only what cannot be that is refused.
MAX_KL = {"F32": 1e-7, "F16": 1e-4, "BF16": 2e-2}
MAX_KL_QUANTISED = 1.0
CONVERSATIONS = (
    [{"role": "user", "content": "日本の首都は？"}],
    [{"role": "user", "content": "1+1は？"}, {"role": "assistant", "content": "2です。"}, {"role": "user", "content": "Why?"}],
    [{"role": "system", "content": "短く答えてください。"}, {"role": "user", "content": "空はなぜ青い？"}],
)


@dataclass(frozen=True)
class Likelihoods:
    """After each probe: log-probabilities of the tokens that are most likely in llama.cpp, there and in the model folder."""

    theirs: list[Array]
    ours: list[Array]

    @property
    def max_difference(self) -> float:
        return max(float(np.abs(entry - other).max()) for entry, other in zip(self.ours, self.theirs, strict=True))

    @property
    def kl(self) -> float:
        """Mean over the probes, in nats, among the tokens compared."""
        return float(np.mean([(np.exp(entry) * (entry - other)).sum() for entry, other in zip(self.ours, self.theirs, strict=True)]))

    @property
    def cost(self) -> float:
        """What the file's rounding costs, as a share: KL over the entropy of the model folder, nats of the same probes."""
        return self.kl / float(np.mean([-(np.exp(row) * row).sum() for row in self.ours]))


def _normalised(row: Array) -> Array:
    normalised: Array = row - np.log(np.exp(row).sum())
    return normalised


@dataclass(frozen=True)
class Proof:
    """What was proven of a file in llama.cpp, one line each, or why it was not; and what its type's rounding costs, where that is much."""

    lines: list[str]
    note: str | None = None


class LlamaCpp:
    """llama.cpp beside a model folder, which is computed once for all files of it."""

    def __init__(self, source: GgufSource) -> None:
        self.source = source
        self.probe = probe_ids(source)
        self.lengths = [length for length in PROBE_LENGTHS if length <= len(self.probe)]

    @cached_property
    def reference(self) -> Array | None:
        """[lengths, V] the next token's log-probabilities in transformers in float32; None where the memory does not hold the model."""
        return None if too_large(self.source) else next_log_probabilities(self.source.folder, self.probe)[[length - 1 for length in self.lengths]]

    def check(self, path: Path, kind: str) -> Proof:
        """Hold a file against the folder. GateError where llama.cpp does otherwise than the folder."""
        if (missing := missing_extra("gguf")) is not None:
            return Proof([f"not checked in llama.cpp: {missing}"])
        note = None
        try:
            with llama_server(path, context=len(self.probe) + 8, exact=True) as address, httpx2.Client(base_url=address, timeout=600) as client:
                lines = [_check_ids(self.source, client), _check_prompts(self.source, client)]
                if self.reference is None:
                    lines.append(f"probabilities in llama.cpp not compared: {too_large(self.source)}")
                else:
                    results = compare_likelihoods(
                        client, [self.probe[:length] for length in self.lengths], self.reference, self.source.loaded.tokenizer.encode("a")[-1]
                    )
                    lines.append(_check_likelihoods(results, kind))
                    if results.cost > MAX_COST:
                        note = f"{kind} costs about {results.cost:.1%} (KL {results.kl:.2g} nats a token); a finer type costs less (docs/serving.md)"
        except httpx2.HTTPError as error:
            raise GateError(f"llama.cpp stopped while it was asked ({type(error).__name__}); the file was not kept") from error
        except GateError:
            raise
        except JpAdaptError as error:
            raise GateError(f"{error}; the file was not kept") from error
        return Proof([line for line in lines if line], note)


def probe_ids(source: GgufSource) -> list[int]:
    """Ids of a text of Japanese, English and code, as long as the longest of `PROBE_LENGTHS` or the model's context."""
    ids: list[int] = []
    texts = [text for text in PROBE_TEXTS if text not in HOSTILE_TEXTS]
    while len(ids) < max(PROBE_LENGTHS):
        ids += source.loaded.tokenizer.encode("\n".join(reversed(texts)))
    return ids[: min(max(PROBE_LENGTHS), source.config.get("max_position_embeddings", 2048) - 1)]


def tokenized(client: httpx2.Client, text: str, *, special: bool) -> list[int]:
    """llama.cpp's ids of a text, with nothing around it."""
    answer = client.post("/tokenize", json={"content": text, "add_special": False, "parse_special": special})
    return list(answer.raise_for_status().json()["tokens"])


def _check_ids(source: GgufSource, client: httpx2.Client) -> str:
    tokenizer = source.loaded.tokenizer
    texts = [*PROBE_TEXTS, *(f"日本{text} one" for text in sorted(tokenizer.special_texts)[:64])]
    differing = [text for text in (*texts, NEW_DIGIT) if tokenized(client, text, special=True) != tokenizer.encode(text)]
    newer = f"; {NEW_DIGITS}" if NEW_DIGIT in differing else ""
    differing = [text for text in differing if text != NEW_DIGIT]
    if differing and source.vocabulary.note is None:
        raise GateError(f"llama.cpp cuts {differing[0][:40]!r} otherwise than the tokenizer of {source.folder}; the file was not kept")
    lacking = len(tokenizer.missing_bytes)  # SmolLM2 lacks some; an extension adds them
    lost = f"; {lacking} bytes have no token, and it cuts what stands beside one otherwise" if lacking else ""
    return f"ids in llama.cpp: {len(differing)} of {len(texts)} probe texts differ{newer}{lost}"


def _check_prompts(source: GgufSource, client: httpx2.Client) -> str:
    """Chat prompts. A template that llama.cpp renders otherwise is said, and no reason to keep the file back: prompts can be rendered elsewhere."""
    if not source.chat.own:
        return ""
    chat = replace(source.chat, date=datetime.now().strftime(DATE_FORMAT))  # llama.cpp renders today's
    differing = compared = 0
    for messages in CONVERSATIONS:
        wanted = _rendered(chat, messages)
        if wanted is None:
            continue
        compared += 1
        answer = client.post("/apply-template", json={"messages": messages})
        bos = source.vocabulary.tokens[source.ids["bos"]]
        differing += answer.is_error or answer.json()["prompt"].removeprefix(bos) != wanted.removeprefix(bos)
    return f"chat prompts in llama.cpp: {differing} of {compared} differ"


def _rendered(chat: ChatFormat, messages: Sequence[dict[str, str]]) -> str | None:
    """The prompt of the folder's own template; None for a conversation that it refuses."""
    try:
        return chat.render_messages(messages, prompt=True)
    except InputError:
        return None


def too_large(source: GgufSource) -> str | None:
    """Why the model cannot be computed here in float32 beside llama.cpp; None where it can."""
    import psutil

    needed = 2 * 4 * sum(int(np.prod(tensor.shape, dtype=np.int64)) for tensor in source.tensors)
    free = psutil.virtual_memory().available
    return f"that takes {needed / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free" if needed > free else None


def next_log_probabilities(folder: Path, ids: Sequence[int]) -> Array:
    """[T, V] the next token's log-probabilities after each of the tokens `ids` [T], in float32."""
    import torch

    from jp_adapt.model.causal import load_causal

    model = load_causal(folder, torch.float32)
    with torch.inference_mode():
        logits = model.logits(model(torch.tensor([list(ids)]))[0])
        results: Array = torch.log_softmax(logits.double(), dim=-1).numpy()
    return results


def compare_likelihoods(client: httpx2.Client, prompts: Sequence[Sequence[int]], reference: Array, harmless: int) -> Likelihoods:
    """The next token's log-probabilities after each prompt, in llama.cpp and in `reference` [prompts, V], among those that are most likely there.

    The server tells none where the token that it takes ends the answer or is a part of a character. So it is made to take the token `harmless`; what it
    tells are the model's own probabilities all the same (post_sampling_probs: false).
    """
    settings = {"n_predict": 1, "temperature": 0, "cache_prompt": True, "post_sampling_probs": False, "logit_bias": [[harmless, 1000.0]]}
    ours, theirs = [], []
    for ids, row in zip(prompts, reference, strict=True):
        answer = client.post("/completion", json={"prompt": list(ids), "n_probs": min(TOP, len(row))} | settings).raise_for_status()
        likely = _likely_tokens(answer.text)
        theirs.append(_normalised(np.array([entry.logprob for entry in likely])))
        ours.append(_normalised(row[[entry.id for entry in likely]]))
    return Likelihoods(theirs, ours)


@dataclass(frozen=True)
class _Token:
    id: int
    logprob: float


@dataclass(frozen=True)
class _Place:
    top_logprobs: list[_Token]


@dataclass(frozen=True)
class _Completion:
    completion_probabilities: list[_Place]


def _likely_tokens(reply: str) -> list[_Token]:
    """The most likely tokens that a reply of /completion tells. InputError where it tells none."""
    place = "llama.cpp's reply has no probabilities"
    completion = record_from(_Completion, parse_json(reply, place), place)
    if not completion.completion_probabilities or not completion.completion_probabilities[0].top_logprobs:
        raise InputError(f"{place}, though they were asked for; take another version of llama.cpp")
    return completion.completion_probabilities[0].top_logprobs


def _check_likelihoods(likelihoods: Likelihoods, kind: str) -> str:
    limit = MAX_KL.get(kind, MAX_KL_QUANTISED)
    said = f"KL {likelihoods.kl:.1e} nats, largest difference of a log-probability {likelihoods.max_difference:.1e}"
    if not likelihoods.kl <= limit or (kind == "F32" and not likelihoods.max_difference <= MAX_DIFFERENCE):
        raise GateError(f"llama.cpp computes otherwise than the model folder: {said}, and at most {limit:.0e} is allowed for {kind}; the file was not kept")
    return f"probabilities in llama.cpp, against float32 in transformers: {said}"
