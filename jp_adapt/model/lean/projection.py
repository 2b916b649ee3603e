"""Frozen linear layers of one input, with their LoRA. oneDNN copies what it multiplies unless it is contiguous, so all is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Update:
    """LoRA of one layer, float32: x A^T B^T * scaling is added to what the layer gives. A is [r, inputs], B [outputs, r]."""

    down: nn.Parameter
    up: nn.Parameter
    scaling: float


class Projection:
    """Linear layers of the same input x, with or without LoRA: y_i = x W_i^T + scaling_i x A_i^T B_i^T."""

    def __init__(self, layers: Sequence[nn.Linear], updates: Sequence[Update | None]) -> None:
        self.layers, self.updates = layers, updates
        self.num_updates = sum(update is not None for update in updates)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """A and B of each update, one after the other."""
        return [parameter for update in self.updates if update is not None for parameter in (update.down, update.up)]

    def forward(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """y_i [N, outputs] of x [N, inputs], and of each update x A^T [N, r], which the backward pass takes."""
        downs = [update.down.to(x.dtype) for update in self.updates if update is not None]
        lows = [low.contiguous() for low in (x @ torch.cat(downs).t()).split([len(down) for down in downs], dim=1)] if downs else []
        results, rest = [], iter(lows)
        for layer, update in zip(self.layers, self.updates, strict=True):
            y = x @ layer.weight.t()
            results.append(y if update is None else y.addmm_(next(rest), update.up.to(x.dtype).t(), alpha=update.scaling))
        return results, lows

    def backward(self, grads: Sequence[Tensor], x: Tensor, lows: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Gradients of x, and of A and B of each update in the order of `parameters`, from those of the y_i."""
        grad_x = grads[0] @ self.layers[0].weight
        for grad, layer in zip(grads[1:], self.layers[1:], strict=True):
            grad_x.addmm_(grad, layer.weight)
        updated = [(update, grad) for update, grad in zip(self.updates, grads, strict=True) if update is not None]
        if not updated:
            return grad_x, []
        grad_low = torch.cat([(grad @ update.up.to(x.dtype)).mul_(update.scaling) for update, grad in updated], dim=1)
        downs = torch.cat([update.down.to(x.dtype) for update, _ in updated])
        grad_downs = (grad_low.t() @ x).to(updated[0][0].down.dtype).split([len(update.down) for update, _ in updated])
        # by low^T grad: of grad^T low, oneDNN would turn the larger matrix
        grad_ups = [
            (low.t().contiguous() @ grad).t().to(update.up.dtype, memory_format=torch.contiguous_format).mul_(update.scaling)
            for (update, grad), low in zip(updated, lows, strict=True)
        ]
        return grad_x.addmm_(grad_low, downs), [grad for pair in zip(grad_downs, grad_ups, strict=True) for grad in pair]
