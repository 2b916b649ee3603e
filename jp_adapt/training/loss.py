"""Next-token cross-entropy straight from hidden states, in chunks, with the gradients of the base's head rows and of new ones kept apart.

The logits of [tokens, vocab_size] are never held whole: a chunk's logits, its loss and its gradients are computed together in the forward pass and
thrown away (the way of Liger-Kernel and of Wijmans et al. 2411.09009). Frozen head rows get no gradient at all: none is made where none is asked for.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CHUNK_BYTES = 96_000_000  # of logits held at once, and of their wide copy: a chunk still large enough for fast matrix products on a CPU
WIDE_LOGITS = 500_000  # logits that a CPU has in float32 at once: what is done to them finds them in its cache


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
        # Base and new rows are multiplied apart, into columns of one buffer: a head joined from both would be a copy of the largest matrix of the model.
        heads = [rows.to(hidden.dtype) for rows in (base_rows, new_rows) if rows is not None]
        widths = [len(rows) for rows in heads]
        wide = torch.promote_types(hidden.dtype, torch.float32)
        total = torch.zeros((), dtype=wide, device=hidden.device)
        grad_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        # of base and new rows, in the order of `heads`
        grad_rows = [torch.zeros(rows.shape, dtype=wide, device=hidden.device) if ctx.needs_input_grad[1 + place] else None for place, rows in enumerate(heads)]
        on_cpu, narrow = hidden.device.type == "cpu", hidden.dtype != wide
        logit_bytes = hidden.element_size() + (wide.itemsize if narrow and not on_cpu else 0)
        chunks = -(-hidden.shape[0] * sum(widths) * logit_bytes // CHUNK_BYTES)
        size = max(1, -(-hidden.shape[0] // max(1, chunks)))  # all chunks alike: a short one at the end would multiply slowly
        few = max(1, min(WIDE_LOGITS // sum(widths), size)) if on_cpu else size
        # Every chunk uses the same memory: fresh pages for it cost a CPU more than the arithmetic on them.
        products = hidden.new_empty(size, sum(widths))
        wide_logits = products.new_empty(few, sum(widths), dtype=wide) if narrow else products
        wants_gradients = grad_hidden is not None or any(grad is not None for grad in grad_rows)
        for start in range(0, hidden.shape[0], size):
            chunk, target = hidden[start : start + size], targets[start : start + size, None]
            product = products[: len(chunk)]
            for columns, rows in zip(product.split(widths, dim=1), heads, strict=True):
                torch.mm(chunk, rows.t(), out=columns)
            for some, ids in zip(product.split(few), target.split(few), strict=True):
                logits = wide_logits[: len(some)].copy_(some) if narrow else some
                # One exponential serves the loss and the gradient.
                top = logits.amax(dim=1, keepdim=True)
                at_target = logits.gather(1, ids)
                mass = logits.sub_(top).exp_().sum(dim=1, keepdim=True)
                total += (mass.log() + top - at_target).sum()
                if wants_gradients:
                    # d loss / d logits = softmax - one_hot, made in place of the logits
                    logits.div_(mass).scatter_add_(1, ids, torch.full_like(at_target, -1))
                    if narrow:
                        some.copy_(logits)
            if not wants_gradients:
                continue
            parts = product.split(widths, dim=1)
            if grad_hidden is not None:
                grads = torch.mm(parts[0], heads[0], out=grad_hidden[start : start + size])
                for part, rows in zip(parts[1:], heads[1:], strict=True):
                    grads.addmm_(part, rows)
            for grad, part in zip(grad_rows, parts, strict=True):
                if grad is not None:
                    grad += part.t() @ chunk
        ctx.save_for_backward(grad_hidden, *grad_rows, *([None] if new_rows is None else []))
        ctx.dtypes = [None if tensor is None else tensor.dtype for tensor in (hidden, base_rows, new_rows)]
        return total

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        (grad_output,) = grad_outputs
        grad_hidden, grad_base, grad_new = (
            None if grad is None else (grad * grad_output.to(grad.dtype)).to(dtype) for grad, dtype in zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        )
        return grad_hidden, grad_base, grad_new, None
