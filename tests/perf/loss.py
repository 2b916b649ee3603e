"""Loss and its gradients from hidden states of 2,048 positions (width 576, float32): `linear_cross_entropy` against the full logits of torch's cross_entropy.

Three heads: SmolLM2's, the same with 8,000 new rows, and Llama-3's vocabulary with 16,000.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from jp_adapt.training.loss import linear_cross_entropy
from tests.perf.timing import alternate, report

POSITIONS, HIDDEN = 2048, 576


def main() -> None:
    generator = torch.Generator().manual_seed(0)
    for frozen_rows, new_rows in ((49_152, 0), (49_152, 8_000), (128_256, 16_000)):
        hidden = torch.randn(POSITIONS, HIDDEN, generator=generator).requires_grad_()
        frozen = torch.randn(frozen_rows, HIDDEN, generator=generator) * 0.05
        new = (torch.randn(new_rows, HIDDEN, generator=generator) * 0.05).requires_grad_() if new_rows else None
        targets = torch.randint(0, frozen_rows + new_rows, (POSITIONS,), generator=generator)
        print(f"  head of {frozen_rows:,} + {new_rows:,} rows")
        report(alternate({"ours": _ours(hidden, frozen, new, targets), "full logits": _full(hidden, frozen, new, targets)}, rounds=5), "ours")


def _ours(hidden: torch.Tensor, frozen: torch.Tensor, new: torch.Tensor | None, targets: torch.Tensor) -> Callable[[], object]:
    return lambda: linear_cross_entropy(hidden, frozen, new, targets).backward()


def _full(hidden: torch.Tensor, frozen: torch.Tensor, new: torch.Tensor | None, targets: torch.Tensor) -> Callable[[], object]:
    def run() -> None:
        head = frozen if new is None else torch.cat([frozen, new])
        torch.nn.functional.cross_entropy(hidden @ head.t(), targets, reduction="sum").backward()

    return run
