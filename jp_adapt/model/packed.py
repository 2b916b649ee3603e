"""Which attention goes over packed documents: ours on a CPU, torch's FlexAttention or varlen flash attention on a GPU, or torch's SDPA with a mask.

Each way is a function (query, key, value, scaling) that transformers' layers call through `attention.DOCUMENT_ATTENTION`. It is made once for a batch, from
the positions, and no way but the mask computes anything between documents.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any, Literal

import torch
from torch import Tensor

from jp_adapt.core.errors import UsageError
from jp_adapt.model.attention import Attend, document_attention, documents_in

PackedAttention = Literal["auto", "mask", "flex", "varlen"]


def packed_attention(way: PackedAttention, positions: Tensor) -> Attend | None:
    """The attention of documents at `positions` [B, T], on their device; None where transformers is to build a mask.

    "auto" is ours on a CPU and the mask on a GPU. Attention by "flex" runs on a CPU without gradients only (torch's own limit).
    """
    if way == "auto" and positions.device.type == "cpu":
        documents = documents_in(positions)
        return lambda query, key, value, scaling: document_attention(query, key, value, documents, scaling)
    if way == "flex":
        return partial(_flex, blocks=_blocks(positions))
    if way == "varlen":
        ends = document_ends(positions)
        return partial(_varlen, ends=ends, longest=int(ends.diff().max()))
    return None


def check_attention(way: PackedAttention, dtype: torch.dtype) -> None:
    """UsageError where this machine, or computation in `dtype`, has no such attention."""
    if way in ("flex", "varlen") and not torch.cuda.is_available():
        raise UsageError(f"attention {way}: it needs a CUDA GPU; use attention: auto")
    if way == "varlen" and dtype == torch.float32:
        raise UsageError(
            "attention varlen: flash attention computes in bfloat16 or float16, and the model in float32; use attention: flex, or another precision"
        )


def _breaks(positions: Tensor) -> Tensor:
    """[B, T - 1] whether a position does not continue the one before it by one."""
    return positions[:, 1:] != positions[:, :-1] + 1


def document_numbers(positions: Tensor) -> Tensor:
    """[B, T] number of the document of each position in its row: a new one begins where positions do not continue by one."""
    return torch.nn.functional.pad(_breaks(positions), (1, 0)).cumsum(1)


def document_ends(positions: Tensor) -> Tensor:
    """[documents + 1] int32: 0 and the ends of the documents, counted over all rows one behind the other. A document ends with its row."""
    begins = torch.nn.functional.pad(_breaks(positions), (1, 0), value=True)
    starts = begins.flatten().nonzero()[:, 0]
    return torch.nn.functional.pad(starts, (0, 1), value=positions.numel()).to(torch.int32)


def _blocks(positions: Tensor) -> Any:
    """FlexAttention's block mask: blocks in which no query sees a key are passed over."""
    from torch.nn.attention.flex_attention import create_block_mask

    numbers = document_numbers(positions)
    rows, length = positions.shape
    return create_block_mask(
        lambda row, head, query, key: (query >= key) & (numbers[row, query] == numbers[row, key]), rows, None, length, length, device=positions.device
    )


@cache
def _flex_kernel(device: str) -> Any:
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention) if device == "cuda" else flex_attention  # not compiled, it holds the whole square of scores


def _flex(query: Tensor, key: Tensor, value: Tensor, scaling: float, *, blocks: Any) -> Tensor:
    out: Tensor = _flex_kernel(query.device.type)(query, key, value, block_mask=blocks, scale=scaling, enable_gqa=query.shape[1] != key.shape[1])
    return out.transpose(1, 2)


def _varlen(query: Tensor, key: Tensor, value: Tensor, scaling: float, *, ends: Tensor, longest: int) -> Tensor:
    from torch.nn.attention.varlen import varlen_attn

    rows, heads, length, dim = query.shape
    flat = [tensor.transpose(1, 2).reshape(rows * length, -1, dim) for tensor in (query, key, value)]
    out: Tensor = varlen_attn(*flat, ends, ends, longest, longest, scale=scaling, window_size=(-1, 0), enable_gqa=heads != key.shape[1])
    return out.view(rows, length, heads, dim)
