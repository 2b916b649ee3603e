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
        heads, groups = key.shape[1], query.shape[1] // key.shape[1]
        scaled = query * scaling
        batch, _, length, dim = query.shape
        out = query.new_empty(batch, length, heads, groups, dim)
        future = _future(query)
        for row, start, end in documents:
            for first, last in _tiles(start, end):
                weights = _weights(scaled, key, (row, start, first, last), future)
                mixed = torch.bmm(weights, value[row, :, start:last])
                out[row, first:last] = mixed.view(heads, groups, last - first, dim).permute(2, 0, 1, 3)
        ctx.save_for_backward(scaled, key, value)
        ctx.documents, ctx.scaling = documents, scaling
        return out.view(batch, length, heads * groups, dim)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        scaled, key, value = ctx.saved_tensors
        batch, query_heads, length, dim = scaled.shape
        heads, groups = key.shape[1], query_heads // key.shape[1]
        grad = grad_outputs[0].view(batch, length, heads, groups, dim)
        grad_query = scaled.new_empty(scaled.shape)
        # A key gathers from all tiles behind it: in a wider type, as a product of matrices would.
        wide = torch.promote_types(scaled.dtype, torch.float32)
        grad_key, grad_value = (torch.zeros(tensor.shape, dtype=wide, device=tensor.device) for tensor in (key, value))
        future = _future(scaled)
        for row, start, end in ctx.documents:
            for first, last in _tiles(start, end):
                weights = _weights(scaled, key, (row, start, first, last), future)
                grad_out = grad[row, first:last].permute(1, 2, 0, 3).reshape(heads, -1, dim)
                grad_weights = torch.bmm(grad_out, value[row, :, start:last].transpose(1, 2))
                grad_scores = torch._softmax_backward_data(grad_weights, weights, -1, weights.dtype)
                grad_query[row, :, first:last] = torch.bmm(grad_scores, key[row, :, start:last]).view(query_heads, -1, dim)
                grad_key[row, :, start:last] += torch.bmm(grad_scores.transpose(1, 2), _grouped(scaled, heads, row, first, last))
                grad_value[row, :, start:last] += torch.bmm(weights.transpose(1, 2), grad_out)
        return grad_query.mul_(ctx.scaling), grad_key.to(key.dtype), grad_value.to(value.dtype), None, None


def _tiles(start: int, end: int) -> list[tuple[int, int]]:
    return [(first, min(first + TILE, end)) for first in range(start, end, TILE)]


def _future(like: Tensor) -> Tensor:
    """[TILE, TILE] with -inf where a key comes after the query."""
    return like.new_full((TILE, TILE), float("-inf")).triu(1)


def _grouped(query: Tensor, heads: int, row: int, first: int, last: int) -> Tensor:
    """[kv_heads, groups * tile, D]: the queries of a tile, those that share keys together."""
    return query[row, :, first:last].reshape(heads, -1, query.shape[-1])


def _weights(scaled: Tensor, key: Tensor, tile: tuple[int, int, int, int], future: Tensor) -> Tensor:
    """[kv_heads, groups * tile, last - start]: softmax of the scores of queries first..last of a row against keys start..last."""
    row, start, first, last = tile
    heads, size = key.shape[1], last - first
    scores = torch.bmm(_grouped(scaled, heads, row, first, last), key[row, :, start:last].transpose(1, 2))
    scores.view(heads, -1, size, last - start)[..., first - start :] += future[:size, :size]
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
