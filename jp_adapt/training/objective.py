"""Model and loss as one module, and the forward and backward passes of one step in pieces that fit the memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any, Literal

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from jp_adapt.core.errors import UsageError
from jp_adapt.corpus.pack import IGNORED, Batch
from jp_adapt.model.causal import CausalModel
from jp_adapt.training import ranks
from jp_adapt.training.loss import linear_cross_entropy
from jp_adapt.training.zero import Zero

LossKernel = Literal["chunked", "liger", "cut"]


class NextTokenLoss(nn.Module):
    """Model and loss as one module, so that a distributed wrapper sees every parameter in one forward."""

    def __init__(self, model: CausalModel, kernel: LossKernel = "chunked") -> None:
        super().__init__()
        self.model = model
        self.cross_entropy = linear_cross_entropy if kernel == "chunked" else _gpu_kernel(kernel)

    def forward(self, ids: Tensor, positions: Tensor, targets: Tensor) -> Tensor:
        """Sum of -ln p(target), in nats, over targets [B, T] that are not negative. The head is multiplied at these positions only."""
        hidden = self.model(ids, positions)
        counted = targets >= 0
        loss: Tensor = self.cross_entropy(hidden[counted], self.model.base_head, self.model.new_head, self.model.order.columns(targets[counted]))
        return loss


def _gpu_kernel(kernel: LossKernel) -> Any:
    """The loss of Liger-Kernel, or of cut-cross-entropy (2411.09009), with the contract of `linear_cross_entropy`.

    Written after their sources and not run yet, for want of a GPU. Both give the whole head a gradient in its type, where ours gives new rows theirs in
    float32; neither takes a batch without a target, which is ours then.
    """
    package = {"liger": "liger-kernel", "cut": "cut-cross-entropy"}[kernel]
    if not torch.cuda.is_available():
        raise UsageError(f"loss_kernel {kernel}: {package} needs a CUDA GPU; use loss_kernel: chunked")
    try:
        if kernel == "liger":
            from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss

            fused = LigerFusedLinearCrossEntropyLoss(reduction="sum")
            return _or_ours(lambda hidden, head, targets: fused(head, hidden, targets))
        from cut_cross_entropy import linear_cross_entropy as cut

        return _or_ours(lambda hidden, head, targets: cut(hidden, head, targets, reduction="sum", impl="cce_kahan_full_c"))
    except ImportError as error:
        raise UsageError(f"loss_kernel {kernel}: {package} is not installed; pip install {package}, or use loss_kernel: chunked") from error


def _or_ours(fused: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Callable[[Tensor, Tensor, Tensor | None, Tensor], Tensor]:
    """`fused` (hidden, head, targets) with base and new rows joined to one head; without any target, our own loss."""

    def loss(hidden: Tensor, base: Tensor, new: Tensor | None, targets: Tensor) -> Tensor:
        if not len(targets):
            return linear_cross_entropy(hidden, base, new, targets)
        rows = base.to(hidden.dtype)
        return fused(hidden, rows if new is None else torch.cat([rows, new.to(hidden.dtype)]), targets)

    return loss


def micro_batches(batch: Batch, rows: int | None) -> Iterator[list[list[list[int]]]]:
    """(ids, positions, targets) of at most `rows` rows at a time, all at once where `rows` is None. A rank without a row gets one that carries no loss."""
    if not batch.ids:
        yield [[[0]], [[0]], [[IGNORED]]]
        return
    size = rows or len(batch.ids)
    for start in range(0, len(batch.ids), size):
        yield [part[start : start + size] for part in (batch.ids, batch.positions, batch.targets)]


def accumulate_gradients(
    accelerator: Accelerator, objective: nn.Module, batch: Batch, *, rows: int | None, scale: float = 1.0, in_step: bool = False, zero: Zero | None = None
) -> float:
    """Add the gradients of the mean loss of the whole step, times `scale`, and return the loss summed over all ranks, in nats.

    Args:
        in_step: all ranks go through the model equally often, as they must where it is sharded, and under ZeRO, which exchanges gradients with every pass
            from stage 2 on; one with fewer rows ends with rows that carry no loss.
        zero: whose engine `objective` is, if it is one.

    The mean is over the targets of the step, whoever holds them: a sum of nats divided by one count. So the result does not depend (but for rounding)
    on how rows are split over micro-batches and ranks, where a mean of means would.
    """
    total = torch.zeros((), dtype=torch.float64)
    parts = list(micro_batches(batch, rows))
    if in_step:
        parts += [[[[0]], [[0]], [[IGNORED]]]] * (ranks.largest(len(parts)) - len(parts))
    for number, part in enumerate(parts):
        tensors = [torch.tensor(values, device=accelerator.device) for values in part]
        last = number == len(parts) - 1
        if zero is not None:
            zero.engine.set_gradient_accumulation_boundary(last)
        # Ranks exchange gradients once a step, with the last micro-batch (ZeRO from stage 2 on with each, as it keeps no whole gradient).
        with nullcontext() if last or zero is not None else accelerator.no_sync(objective):
            loss_nats = objective(*tensors)
            # A distributed wrapper averages over ranks, and the step wants their sum.
            (accelerator if zero is None else zero.engine).backward(loss_nats * (scale * accelerator.num_processes / max(1, batch.num_targets)))
        total += loss_nats.detach().double().cpu()
    wide = torch.float32 if accelerator.device.type == "mps" else torch.float64
    return float(accelerator.reduce(total.to(accelerator.device, wide), reduction="sum"))
