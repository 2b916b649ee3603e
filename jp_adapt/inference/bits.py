"""Bits per byte and per character: what a text costs a model, comparable across tokenizers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jp_adapt.inference.processes import ALONE, Processes
from jp_adapt.inference.score import log_likelihoods
from jp_adapt.inference.trie import Request
from jp_adapt.model.causal import CausalModel

Encode = Callable[[str], list[int]]
TEXT_WINDOW = 2048  # tokens; the same for every model that takes as many, so that figures compare


@dataclass(frozen=True)
class TextScore:
    """Cost of one text, document by document."""

    bits: list[float]  # -log2 p of each document
    chars: list[int]
    bytes: list[int]
    tokens: list[int]

    @property
    def bits_per_char(self) -> float:
        return sum(self.bits) / sum(self.chars)

    @property
    def bits_per_byte(self) -> float:
        return sum(self.bits) / sum(self.bytes)


def score_texts(
    model: CausalModel,
    encode: Encode,
    documents: Sequence[str],
    *,
    prefix: int,
    max_tokens: int,
    advance: Callable[[int, str], None] = lambda done, note: None,
    processes: Processes = ALONE,
) -> TextScore:
    """Score whole documents, each by itself after the token `prefix`; `processes` share the work, to the same figures on each."""
    encoded = [encode(document) for document in documents]
    nats = log_likelihoods(model, [Request([prefix, *ids]) for ids in encoded], max_tokens=max_tokens, advance=advance, processes=processes)
    return TextScore(
        bits=[-value / math.log(2) for value in nats],
        chars=[len(document) for document in documents],
        bytes=[len(document.encode("utf-8")) for document in documents],
        tokens=[len(ids) for ids in encoded],
    )
