"""Next-token cross-entropy straight from hidden states, in chunks, with the gradients of the base's head rows and of new ones kept apart.

The logits of [tokens, vocab_size] are never held whole: a chunk's logits, its loss and its gradients are computed together in the forward pass and
thrown away (the way of Liger-Kernel and of Wijmans et al. 2411.09009). Frozen head rows get no gradient at all: none is made where none is asked for.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CHUNK_LOGITS = 16_000_000  # logits held at once: 64 MB in float32, and a chunk still large enough for fast matrix products on a CPU


def linear_cross_entropy(hidden: Tensor, base_rows: Tensor, new_rows: Tensor | None, targets: Tensor) -> Tensor:
    """Sum over positions of -ln p(target), in nats.

    Args:
        hidden: [N, H] last hidden states of the positions that carry loss.
        base_rows: [V, H] head rows of the base; ids 0..V-1.
        new_rows: [W, H] head rows of new tokens; ids V..V+W-1. None when there are none. Both are used in the type of `hidden`; gradients keep their own.
        targets: [N] ids of the next tokens.

    Returns:
        A scalar, float32 (float64 for float64 input). Sums add up across batches and ranks; divide by tokens, bytes or characters afterwards.
    """
    loss: Tensor = _LinearCrossEntropy.apply(hidden, base_rows, new_rows, targets)
    return loss


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, base_rows: Tensor, new_rows: Tensor | None, targets: Tensor) -> Tensor:
        num_base = base_rows.shape[0]
        head = base_rows.to(hidden.dtype) if new_rows is None else torch.cat([base_rows.to(hidden.dtype), new_rows.to(hidden.dtype)])
        wide = torch.promote_types(hidden.dtype, torch.float32)
        total = torch.zeros((), dtype=wide, device=hidden.device)
        grad_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        grad_base = torch.zeros(base_rows.shape, dtype=wide, device=hidden.device) if ctx.needs_input_grad[1] else None
        grad_new = torch.zeros(new_rows.shape, dtype=wide, device=hidden.device) if new_rows is not None and ctx.needs_input_grad[2] else None
        size = max(1, CHUNK_LOGITS // head.shape[0])
        for start in range(0, hidden.shape[0], size):
            chunk, target = hidden[start : start + size], targets[start : start + size, None]
            logits = (chunk @ head.t()).to(wide)
            log_normalizer = logits.logsumexp(dim=1, keepdim=True)
            total += (log_normalizer - logits.gather(1, target)).sum()
            if grad_hidden is None and grad_base is None and grad_new is None:
                continue
            # d loss / d logits = softmax - one_hot, made in place of the logits
            grad = logits.sub_(log_normalizer).exp_()
            grad.scatter_add_(1, target, torch.full_like(target, -1, dtype=wide))
            grad = grad.to(hidden.dtype)
            if grad_hidden is not None:
                grad_hidden[start : start + size] = grad @ head
            if grad_base is not None:
                grad_base += grad[:, :num_base].t() @ chunk
            if grad_new is not None:
                grad_new += grad[:, num_base:].t() @ chunk
        ctx.save_for_backward(grad_hidden, grad_base, grad_new)
        ctx.dtypes = [None if tensor is None else tensor.dtype for tensor in (hidden, base_rows, new_rows)]
        return total

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        (grad_output,) = grad_outputs
        grad_hidden, grad_base, grad_new = (
            None if grad is None else (grad * grad_output.to(grad.dtype)).to(dtype) for grad, dtype in zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        )
        return grad_hidden, grad_base, grad_new, None
