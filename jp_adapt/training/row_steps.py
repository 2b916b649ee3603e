"""AdamW for new head rows in coordinates made for them: along what tells contexts apart, and together with rows of like tokens.

The gradient of a head row is a sum of hidden states, and those of a language model share a few directions (2109.04404): in SmolLM2-135M one of 576 holds 70 %
of their squared length. AdamW goes mostly there, where a step changes the logit of a token in every context at once, and a row is late to learn in which
contexts its token stands. So the gradient goes through a matrix A that shrinks the directions in which states are longer than usual, and the step goes back
through it. And most new tokens are rare: what a short training shows of one is a handful of occurrences. So rows learn from those of tokens with like
neighbours, by features F of the tokens (`training/row_features.py`): AdamW works on R and U, where row = first row + (R + F U) A.
Nothing is left of F, U and A in the model. Measured: docs/training.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

WHITENING, FEATURES = "whitening", "features"  # keys of the matrices in the optimizer's state of the rows, and so in checkpoints
NUM_FEATURES = 257  # of a token: 256 by its neighbours, and one that all share


def whitening(hidden: Tensor) -> Tensor:
    """The symmetric matrix [H, H] that shrinks directions in which the states `hidden` [N, H] have a larger second moment than in the median one, to that."""
    states = hidden.float()
    moments, directions = torch.linalg.eigh(states.t() @ states / len(states))
    usual = moments.median().clamp_min(torch.finfo(torch.float32).tiny)
    shrink = (usual / moments.clamp_min(usual)).sqrt()
    return (directions * shrink) @ directions.t()


class RowAdamW(torch.optim.AdamW):
    """AdamW, of which one parameter, `rows` [W, H], takes steps in coordinates of its own after `prepare`; all other parameters are AdamW's.

    Attributes:
        shared: U [K, H], what rows with like features learn together, a parameter in one of the groups; None without features. It trains by the gradient of the
            rows, and stands in no model.

    The matrices are a part of the state of `rows`, so that a checkpoint has them.
    """

    def __init__(self, groups: list[dict[str, Any]], rows: nn.Parameter, *, shared: nn.Parameter | None = None, **settings: Any) -> None:
        super().__init__(groups, **settings)
        self.rows, self.shared = rows, shared

    def prepare(self, matrix: Tensor, features: Tensor | None = None) -> None:
        """Take A [H, H], and F [W, K], from the next step on."""
        state = self.state[self.rows]
        state[WHITENING] = matrix.to(self.rows)
        if features is not None:
            state[FEATURES] = features.to(self.rows)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step; the gradient of `rows` is another afterwards."""
        if closure is not None:
            raise ValueError("a closure would make gradients in the coordinates of the model")
        if self.rows.grad is None:
            super().step()
            return
        # AdamW takes a state that is not empty for one that it made.
        kept = {key: self.state[self.rows].pop(key) for key in (WHITENING, FEATURES) if key in self.state[self.rows]}
        matrix, features = kept[WHITENING], kept.get(FEATURES)
        before = self.rows.detach().clone()
        self.rows.grad = self.rows.grad @ matrix
        if self.shared is None or features is None:
            super().step()
            moved = self.rows - before
        else:
            shared = self.shared.detach().clone()
            self.shared.grad = features.t() @ self.rows.grad
            super().step()
            moved = self.rows - before + features @ (self.shared - shared)
        self.rows.copy_(before + moved @ matrix)
        self.state[self.rows] |= kept
