"""SwiGLU: silu(gate) * up."""

from __future__ import annotations

import torch
from torch import Tensor


def swiglu(gate: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    """silu(gate) * up, and silu(gate), which the backward pass takes."""
    silu = torch.nn.functional.silu(gate)
    return silu * up, silu


def swiglu_backward(grad: Tensor, gate: Tensor, up: Tensor, silu: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of gate and up from that of silu(gate) * up. `silu` is overwritten."""
    grad_silu = grad * up
    return torch.ops.aten.silu_backward.grad_input(grad_silu, gate, grad_input=grad_silu), silu.mul_(grad)
