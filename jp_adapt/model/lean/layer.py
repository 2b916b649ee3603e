"""A decoder layer as two functions, attention and feed-forward, each with what it adds to; all frozen but LoRA.

What is quick to make again is not kept for the backward pass: to bring it from memory takes as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from jp_adapt.model.attention import Document, grouped_attention, grouped_attention_backward
from jp_adapt.model.lean.gated import swiglu, swiglu_backward
from jp_adapt.model.lean.norm import rms_norm, rms_norm_again, rms_norm_backward
from jp_adapt.model.lean.projection import Projection
from jp_adapt.model.lean.rotary import rotate


@dataclass(frozen=True)
class Norm:
    """Weight [H] and epsilon of an RMSNorm."""

    weight: Tensor
    eps: float


@dataclass(frozen=True)
class AttentionPart:
    """`into` gives query, key and value of all heads one behind the other."""

    norm: Norm
    into: Projection
    out: Projection
    kv_heads: int
    head_dim: int


@dataclass(frozen=True)
class FeedForwardPart:
    """`into` gives gate and up one behind the other."""

    norm: Norm
    into: Projection
    out: Projection


@dataclass(frozen=True)
class Rows:
    """What the positions of a batch of B rows of T tokens decide.

    Attributes:
        documents: where documents lie.
        cos: [B, 1, T, D], of the rotary embedding. sin: [B, 1, T, D / 2].
        query_cos, query_sin: the same times the scaling of the scores.
    """

    documents: list[Document]
    cos: Tensor
    sin: Tensor
    query_cos: Tensor
    query_sin: Tensor


def attention(x: Tensor, part: AttentionPart, rows: Rows) -> Tensor:
    """x + attention(norm(x)) of x [B, T, H]."""
    out: Tensor = _Attention.apply(x, part, rows, *part.into.parameters, *part.out.parameters)
    return out


def feed_forward(x: Tensor, part: FeedForwardPart) -> Tensor:
    """x + down(silu(gate(norm(x))) * up(norm(x))) of x [B, T, H]."""
    out: Tensor = _FeedForward.apply(x, part, *part.into.parameters, *part.out.parameters)
    return out


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, part: AttentionPart, rows: Rows, *updates: Tensor) -> Tensor:
        flat = x.flatten(0, 1)
        normed, inverse = rms_norm(flat, part.norm.weight, part.norm.eps)
        features, into_lows = part.into.forward(normed)
        query, key, value = _heads(features, part, x.shape[0])
        query = rotate(query, rows.query_cos[..., None, :], rows.query_sin[..., None, :])
        key, value = rotate(key, rows.cos, rows.sin), value.contiguous()
        mixed = grouped_attention(query, key, value, rows.documents).transpose(1, 2).reshape(len(flat), -1)
        (out,), out_lows = part.out.forward(mixed)
        ctx.save_for_backward(flat, inverse, query, key, value, mixed, *into_lows, *out_lows)
        ctx.part, ctx.rows = part, rows
        return out.add_(flat).view(x.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        flat, inverse, query, key, value, mixed, *lows = ctx.saved_tensors
        part, rows = ctx.part, ctx.rows
        grad = grads[0].flatten(0, 1)
        grad_mixed, out_updates = part.out.backward([grad], mixed, lows[part.into.num_updates :])
        (grad_heads,) = _heads([grad_mixed], part, len(query))
        grad_query, grad_key, grad_value = grouped_attention_backward(grad_heads.contiguous(), query, key, value, rows.documents)
        grad_query = rotate(grad_query, rows.query_cos[..., None, :], -rows.query_sin[..., None, :])
        grad_key = rotate(grad_key, rows.cos, -rows.sin)
        features = [heads.transpose(1, 2).reshape(len(flat), -1) for heads in (grad_query, grad_key, grad_value)]
        normed = rms_norm_again(flat, part.norm.weight, inverse)
        grad_normed, into_updates = part.into.backward(features, normed, lows[: part.into.num_updates])
        grad_x = rms_norm_backward(grad_normed, flat, part.norm.weight, inverse).add_(grad).view(grads[0].shape) if ctx.needs_input_grad[0] else None
        return grad_x, None, None, *into_updates, *out_updates


class _FeedForward(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, part: FeedForwardPart, *updates: Tensor) -> Tensor:
        flat = x.flatten(0, 1)
        normed, inverse = rms_norm(flat, part.norm.weight, part.norm.eps)
        (gate, up), into_lows = part.into.forward(normed)
        gated, _ = swiglu(gate, up)
        (out,), out_lows = part.out.forward(gated)
        ctx.save_for_backward(flat, inverse, gate, up, *into_lows, *out_lows)
        ctx.part = part
        return out.add_(flat).view(x.shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        flat, inverse, gate, up, *lows = ctx.saved_tensors
        part = ctx.part
        grad = grads[0].flatten(0, 1)
        gated, silu = swiglu(gate, up)  # made again: it would be as large as all that attention keeps
        grad_gated, out_updates = part.out.backward([grad], gated, lows[part.into.num_updates :])
        normed = rms_norm_again(flat, part.norm.weight, inverse)
        grad_normed, into_updates = part.into.backward(swiglu_backward(grad_gated, gate, up, silu), normed, lows[: part.into.num_updates])
        grad_x = rms_norm_backward(grad_normed, flat, part.norm.weight, inverse).add_(grad).view(grads[0].shape)
        return grad_x, None, *into_updates, *out_updates


def _heads(features: Sequence[Tensor], part: AttentionPart, batch: int) -> list[Tensor]:
    """[B, kv_heads, T, groups, D] as views of the features [B * T, heads * D] of queries, [B, kv_heads, T, D] of keys and values."""
    heads = [each.view(batch, -1, part.kv_heads, each.shape[1] // part.kv_heads).transpose(1, 2) for each in features]
    return [each.unflatten(3, (-1, part.head_dim)) if place == 0 else each for place, each in enumerate(heads)]
