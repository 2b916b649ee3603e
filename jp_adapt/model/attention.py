"""Attention by plain matrix products, for CPUs.

A first measurement by best-of-five favoured it two to one over torch's CPU kernel; by medians of alternating runs (`make perf`) a training step of SmolLM2-135M
takes as long with either (0.91 to 1.04), so that this module has to win at something or go: docs/log.md. It holds [batch, heads, T, T] scores, which is
fine up to a few thousand tokens and wrong beyond: a long row on a GPU wants "sdpa" or flash attention.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

GROUPED_MATMUL = "jp_adapt_grouped_matmul"


def grouped_matmul_attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, scaling: float, dropout: float = 0.0, **_: Any
) -> tuple[Tensor, None]:
    """Softmax attention of grouped queries, softmax in float32.

    Args:
        query: [B, heads, T, D]. key, value: [B, kv_heads, S, D]; every kv head serves heads / kv_heads query heads, which are multiplied together.
        attention_mask: [B or 1, 1, T, S], True (or 0.0) where a position may be seen; None means causal over equal lengths.

    Returns:
        [B, T, heads, D] and None, as `transformers.AttentionInterface` asks.
    """
    batch, heads, length, dim = query.shape
    kv_heads, span = key.shape[1], key.shape[2]
    grouped = (query * scaling).reshape(batch, kv_heads, heads // kv_heads * length, dim)
    scores = (grouped @ key.transpose(2, 3)).view(batch, heads, length, span)
    if attention_mask is None and length > 1:
        attention_mask = torch.ones(length, span, dtype=torch.bool, device=query.device).tril(span - length)
    if attention_mask is not None:
        if attention_mask.dtype == torch.bool:
            attention_mask = torch.zeros_like(attention_mask, dtype=scores.dtype).masked_fill_(~attention_mask, torch.finfo(scores.dtype).min)
        scores = scores + attention_mask
    weights = torch.softmax(scores, dim=-1, dtype=torch.promote_types(scores.dtype, torch.float32)).to(query.dtype)
    if dropout:
        weights = nn.functional.dropout(weights, p=dropout, training=module.training)
    mixed = weights.view(batch, kv_heads, heads // kv_heads * length, span) @ value
    return mixed.view(batch, heads, length, dim).transpose(1, 2).contiguous(), None


def register() -> None:
    """Make the name known to transformers, with the boolean masks of its SDPA path (packed documents included)."""
    AttentionInterface.register(GROUPED_MATMUL, grouped_matmul_attention)
    AttentionMaskInterface.register(GROUPED_MATMUL, sdpa_mask)
