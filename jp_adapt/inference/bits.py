"""Bits per byte and per character: what a text costs a model, comparable across tokenizers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jp_adapt.corpus.pack import with_end
from jp_adapt.inference.answer import Encode
from jp_adapt.inference.processes import ALONE, Processes
from jp_adapt.inference.score import log_likelihoods
from jp_adapt.inference.trie import Request, common_prefix
from jp_adapt.model.causal import CausalModel

TEXT_WINDOW = 2048  # tokens; the same for every model that takes as many, so that figures compare


@dataclass(frozen=True)
class TextScore:
    """Cost of one text, document by document.

    Attributes:
        bits: -log2 p of each document and of the token that ends it, where one does.
        end_bits: the part of that token in `bits`; None where documents have no end.
        tokens: of each document, without its end, which is no character and no byte either.
    """

    bits: list[float]
    chars: list[int]
    bytes: list[int]
    tokens: list[int]
    end_bits: list[float] | None = None

    @property
    def bits_per_char(self) -> float:
        return sum(self.bits) / sum(self.chars)

    @property
    def bits_per_byte(self) -> float:
        return sum(self.bits) / sum(self.bytes)

    @property
    def bits_per_end(self) -> float | None:
        """What the end of a document costs on average."""
        return None if self.end_bits is None else sum(self.end_bits) / len(self.end_bits)


def score_texts(
    model: CausalModel,
    encode: Encode,
    documents: Sequence[str],
    *,
    prefix: int,
    max_tokens: int,
    end: int | None = None,
    advance: Callable[[int, str], None] = lambda done, note: None,
    processes: Processes = ALONE,
) -> TextScore:
    """Score whole documents, each by itself after the token `prefix` and up to the token `end`; `processes` share the work, to the same figures on each."""
    texts = [encode(document) for document in documents]
    encoded = [with_end(ids, end) for ids in texts]
    requests = [Request([prefix, *ids]) for ids in encoded]
    if end is not None:  # the same ids again, so that nothing more is computed for them
        requests += [Request([prefix, *ids], max(1, len(ids))) for ids in encoded]
    nats = log_likelihoods(model, requests, max_tokens=max_tokens, advance=lambda done, note: advance(min(done, len(encoded)), note), processes=processes)
    bits = [-value / math.log(2) for value in nats]
    return TextScore(
        bits=bits[: len(encoded)],
        chars=[len(document) for document in documents],
        bytes=[len(document.encode("utf-8")) for document in documents],
        tokens=[len(ids) for ids in texts],
        end_bits=None if end is None else bits[len(encoded) :],
    )


def answer_request(encode: Encode, prompt: str, answer: str, *, prefix: int) -> Request:
    """Ask for the probability of `answer` after `prompt`, encoded together as a text is in training: from the first token on that is not the prompt's own.

    Without a prompt it is that of a text from its beginning.
    """
    ids = encode(prompt + answer)
    return Request([prefix, *ids], first=1 + common_prefix(encode(prompt) if prompt else [], ids))
