"""RMSNorm and its gradient in few passes over memory, sums in float32."""

from __future__ import annotations

import torch
from torch import Tensor


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """x / rms(x) * weight of x [N, H] and weight [H], and 1 / rms(x) [N, 1], which the backward pass takes, in float32 (float64 for float64)."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32), copy=True)
    inverse = torch.linalg.vector_norm(wide, dim=1, keepdim=True).square_().div_(x.shape[1]).add_(eps).rsqrt_()
    return wide.mul_(inverse).mul_(weight).to(x.dtype), inverse


def rms_norm_again(x: Tensor, weight: Tensor, inverse: Tensor) -> Tensor:
    """What `rms_norm` gave, to the bit."""
    return x.to(inverse.dtype, copy=True).mul_(inverse).mul_(weight).to(x.dtype)


def rms_norm_backward(grad: Tensor, x: Tensor, weight: Tensor, inverse: Tensor) -> Tensor:
    """Gradient of x [N, H] from that of what `rms_norm` gave.

    LayerNorm's own kernel goes through the rows once and takes mean and deviation as they are given. With a mean of zero it is RMSNorm's, but for the mean of
    the scaled gradient, which it takes away and which comes back here.
    """
    width = x.shape[1]
    weight = weight.to(inverse.dtype)
    result: Tensor = torch.ops.aten.native_layer_norm_backward(grad, x, [width], torch.zeros_like(inverse), inverse, weight, None, [True, False, False])[0]
    mean = torch.mm(grad, weight[:, None].to(grad.dtype)) * (inverse / width)
    return result.add_(mean)
