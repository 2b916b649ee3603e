"""Log-likelihood of token sequences, batched by length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from jp_adapt.model.causal import CausalModel

BATCH_TOKENS = 4096


@dataclass(frozen=True)
class Request:
    """Score the ids from `first` on, given all before them. `ids` begins with the token that stands before every document, so `first` >= 1."""

    ids: list[int]
    first: int = 1


@torch.inference_mode()
def log_likelihoods(
    model: CausalModel, requests: Sequence[Request], *, max_tokens: int, advance: Callable[[int, str], None] = lambda done, note: None
) -> list[float]:
    """ln p of the scored ids of each request, in nats, in the order given.

    A request longer than `max_tokens` is scored in windows, each starting afresh with the document-start token; every scored id is scored once.
    """
    windows: list[tuple[int, Request]] = []
    for owner, request in enumerate(requests):
        windows += [(owner, window) for window in _windows(request, max_tokens)]
    windows.sort(key=lambda window: len(window[1].ids))
    totals = [0.0] * len(requests)
    start = 0
    while start < len(windows):
        end = start + 1
        while end < len(windows) and (end + 1 - start) * len(windows[end][1].ids) <= BATCH_TOKENS:
            end += 1
        batch = windows[start:end]
        length = len(batch[-1][1].ids) - 1
        ids = torch.tensor([request.ids[:-1] + [0] * (length - len(request.ids) + 1) for _, request in batch])
        hidden = model(ids)
        # One product with the head for the whole batch: for a choice of a few tokens, reading the head costs more than multiplying by it.
        scored = torch.cat([hidden[row, request.first - 1 : len(request.ids) - 1] for row, (_, request) in enumerate(batch)])
        targets = torch.tensor([token for _, request in batch for token in request.ids[request.first :]])
        counts = [len(request.ids) - request.first for _, request in batch]
        for (owner, _), part in zip(batch, model.log_likelihoods(scored, targets).double().split(counts), strict=True):
            totals[owner] += float(part.sum())
        start = end
        advance(end, "")
    return totals


def _windows(request: Request, max_tokens: int) -> list[Request]:
    if len(request.ids) <= max_tokens:
        return [request]
    prefix, body = request.ids[0], request.ids[1:]
    windows = []
    for start in range(0, len(body), max_tokens - 1):
        piece = body[start : start + max_tokens - 1]
        first = max(1, request.first - start)
        if first <= len(piece):
            windows.append(Request([prefix, *piece], first))
    return windows
