"""Causal attention of packed documents on a CPU: each document apart, in tiles of queries against the keys before them.

torch's own kernel goes through the whole square of a row with a mask. Here half of a document's square and all that lies between documents is never
computed, query heads that share keys are multiplied together, and scores stay in the type of the computation. Measured by `python -m tests.perf attention`:
docs/log.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

DOCUMENT_ATTENTION = "jp_adapt_documents"  # the name by which transformers knows it
TILE = 128  # queries at once: 64 is as fast in float32, 256 slower in both types

Document = tuple[int, int, int]  # row, first position, position after the last
# Causal attention of (query [B, heads, T, D], key and value [B, kv_heads, T, D], scaling of the scores) -> [B, T, heads, D].
Attend = Callable[[Tensor, Tensor, Tensor, float], Tensor]


class Memory(Protocol):
    """What a forward pass goes on from: every layer gives it its new keys and values by `update`, and has it `attend` with these and the query."""

    def update(self, keys: Tensor, values: Tensor, layer_idx: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]: ...

    def attend(self, query: Tensor, keys: Tensor, values: Tensor, scaling: float) -> Tensor:
        """As `Attend`."""
        ...


def documents_in(positions: Tensor) -> list[Document]:
    """The documents of rows of positions [B, T]: a new one begins where positions do not continue by one."""
    results = []
    for row, values in enumerate(positions.tolist()):
        starts = [0] + [place for place in range(1, len(values)) if values[place] != values[place - 1] + 1]
        results += [(row, start, end) for start, end in zip(starts, [*starts[1:], len(values)], strict=True)]
    return results


def document_attention(query: Tensor, key: Tensor, value: Tensor, documents: list[Document], scaling: float) -> Tensor:
    """Softmax attention in which a position sees those of its own document up to itself.

    Args:
        query: [B, heads, T, D]. key, value: [B, kv_heads, T, D]; each kv head serves heads / kv_heads query heads.
        documents: they cover all positions of all rows, each once.
        scaling: of the scores, before the softmax.

    Returns:
        [B, T, heads, D]. Nothing of the size T * T is kept for the backward pass: it makes the weights of each tile again.
    """
    out: Tensor = _DocumentAttention.apply(query, key, value, documents, scaling)
    return out


class _DocumentAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, documents: list[Document], scaling: float) -> Tensor:
        batch, kv_heads, length, dim = key.shape
        grouped = (query * scaling).unflatten(1, (kv_heads, -1)).transpose(2, 3).contiguous()
        key, value = key.contiguous(), value.contiguous()
        ctx.save_for_backward(grouped, key, value)
        ctx.documents, ctx.scaling = documents, scaling
        return grouped_attention(grouped, key, value, documents).transpose(1, 2).reshape(batch, length, -1, dim)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        grouped, key, value = ctx.saved_tensors
        grad = grad_outputs[0].unflatten(2, (key.shape[1], -1)).transpose(1, 2).contiguous()
        grad_query, grad_key, grad_value = grouped_attention_backward(grad, grouped, key, value, ctx.documents)
        return grad_query.mul_(ctx.scaling).transpose(2, 3).flatten(1, 2), grad_key, grad_value, None, None


def grouped_attention(query: Tensor, key: Tensor, value: Tensor, documents: list[Document]) -> Tensor:
    """Attention of documents, forward, of contiguous tensors: of each position, the queries that share a key lie together.

    Args:
        query: [B, kv_heads, T, groups, D], scaled. key, value: [B, kv_heads, T, D].

    Returns:
        [B, kv_heads, T, groups, D].
    """
    out = torch.empty_like(query)
    future = _future(query)
    for row, start, end in documents:
        for first, last in _tiles(start, end):
            weights = _weights(_tile(query, row, first, last), key[row, :, start:last], future)
            torch.bmm(weights, value[row, :, start:last], out=_tile(out, row, first, last))
    return out


def grouped_attention_backward(grad: Tensor, query: Tensor, key: Tensor, value: Tensor, documents: list[Document]) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of (scaled) query, key and value of `grouped_attention` from that of what it gave, [B, kv_heads, T, groups, D] and contiguous."""
    grad_query = torch.empty_like(query)
    # A key gathers from all tiles behind it: in a wider type, as a product of matrices would.
    wide = torch.promote_types(key.dtype, torch.float32)
    grad_key, grad_value = torch.empty_like(key), torch.empty_like(value)
    future = _future(query)
    for row, start, end in documents:
        keys, values = key[row, :, start:end], value[row, :, start:end]
        sums = keys.new_zeros((2, *keys.shape), dtype=wide)
        for first, last in _tiles(start, end):
            seen = slice(last - start)
            # contiguous, or each product would copy it again
            queries, grad_out, earlier = (part.contiguous() for part in (_tile(query, row, first, last), _tile(grad, row, first, last), keys[:, seen]))
            weights = _weights(queries, earlier, future)
            grad_weights = torch.bmm(grad_out, values[:, seen].transpose(1, 2))
            grad_scores = torch._softmax_backward_data(grad_weights, weights, -1, weights.dtype)
            torch.bmm(grad_scores, earlier, out=_tile(grad_query, row, first, last))
            sums[0, :, seen] += torch.bmm(grad_scores.transpose(1, 2), queries)
            sums[1, :, seen] += torch.bmm(weights.transpose(1, 2), grad_out)
        grad_key[row, :, start:end], grad_value[row, :, start:end] = sums
    return grad_query, grad_key, grad_value


def _tiles(start: int, end: int) -> list[tuple[int, int]]:
    return [(first, min(first + TILE, end)) for first in range(start, end, TILE)]


def _future(like: Tensor) -> Tensor:
    """[TILE, 1, TILE] with -inf where a key comes after the query."""
    return like.new_full((TILE, TILE), float("-inf")).triu(1)[:, None]


def _tile(grouped: Tensor, row: int, first: int, last: int) -> Tensor:
    """[kv_heads, tile * groups, D], a view of [B, kv_heads, T, groups, D]: the queries of a tile."""
    return grouped[row, :, first:last].flatten(1, 2)


def _weights(queries: Tensor, keys: Tensor, future: Tensor) -> Tensor:
    """[kv_heads, tile * groups, seen]: softmax of the scores of the queries of a tile against the keys [kv_heads, seen, D] up to its end."""
    scores = torch.bmm(queries, keys.transpose(1, 2))
    seen = keys.shape[1]
    size = (seen - 1) % TILE + 1
    scores.view(len(scores), size, -1, seen)[..., seen - size :] += future[:size, :, :size]
    return torch.softmax(scores, dim=-1)


def _attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    attend: Attend | None = None,
    attend_memory: Attend | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """What transformers calls: `attend_memory` or `attend` where the forward pass was given one, its own SDPA elsewhere.

    `attend` does not go over layers that see only a window.
    """
    attend = attend_memory or (attend if options.get("sliding_window") is None else None)
    if attend is None:
        attended: tuple[Tensor, None] = sdpa_attention_forward(module, query, key, value, attention_mask, **options)
        return attended
    device = query.device.type
    if torch.is_autocast_enabled(device):  # autocast reaches into SDPA, and not into a function of ours
        query, key, value = (tensor.to(torch.get_autocast_dtype(device)) for tensor in (query, key, value))
    with torch.autocast(device, enabled=False):
        return attend(query, key, value, options["scaling"]), None


AttentionInterface.register(DOCUMENT_ATTENTION, _attention)
AttentionMaskInterface.register(DOCUMENT_ATTENTION, sdpa_mask)
