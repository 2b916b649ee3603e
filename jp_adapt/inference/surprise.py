"""How surprising each token of a text is to a model: what it takes, in bits, to name the token that comes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from jp_adapt.inference.model_folder import EvaluatedModel
from jp_adapt.tokenizer.bpe import text_of

MOST_TOKENS = 2048  # of a text; the last ones, where it has more


@dataclass(frozen=True)
class TokenSurprise:
    """A token: its text, or its bytes in hex where it is no whole characters (`partial`); -log2 of its probability; whether it belongs to the text before."""

    text: str
    bits: float
    partial: bool
    before: bool


def token_surprise(evaluated: EvaluatedModel, before: str, text: str) -> list[TokenSurprise]:
    """The tokens of `before` and `text`, encoded together after the token that begins a document, each given all that stand before it.

    Of a long text the last `MOST_TOKENS`, or as many as the model takes.
    """
    tokenizer, model = evaluated.side.tokenizer, evaluated.model
    whole = tokenizer.encode(before + text)
    ids = whole[-(min(MOST_TOKENS, evaluated.side.max_tokens) - 1) :]
    if not ids:
        return []
    device = next(model.parameters()).device
    given = torch.tensor([evaluated.side.starts.document, *ids], device=device)
    with torch.inference_mode():
        nats = model.log_likelihoods(model(given[None, :-1])[0], given[1:]).tolist()
    left = len(before.encode("utf-8")) - sum(len(tokenizer.token_bytes[token_id]) for token_id in whole[: len(whole) - len(ids)])
    results = []
    for token_id, value in zip(ids, nats, strict=True):
        token = tokenizer.token_bytes[token_id]
        shown = text_of(token)
        results.append(TokenSurprise(token.hex(" ").upper() if shown is None else shown, -value / math.log(2), shown is None, left > 0))
        left -= len(token)
    return results
