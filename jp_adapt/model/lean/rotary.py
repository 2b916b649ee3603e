"""Rotary position embedding (Su et al. 2104.09864) as Llama has it: the first half of a head's features turns with the second."""

from __future__ import annotations

import torch
from torch import Tensor


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x turned by the angles of `cos` and `sin`, contiguous; with -sin, turned back.

    Args:
        x: [..., D], of whatever strides.
        cos: [..., D] and sin: [..., D / 2], broadcast against `x`; both halves of `cos` are equal.
    """
    half = sin.shape[-1]
    out = torch.mul(x, cos, out=torch.empty(x.shape, dtype=x.dtype))
    out[..., :half].addcmul_(x[..., half:], sin, value=-1)
    out[..., half:].addcmul_(x[..., :half], sin)
    return out
