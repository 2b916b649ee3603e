"""New embedding rows as parameters of their own: the old rows stay frozen bit for bit, and only the new ones train, are saved, and cost memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor, nn

InitMethod = Literal["mean", "norm_matched", "position_weighted"]
POSITION_DECAY = 0.7  # weight of a piece over that of the piece after it


def init_new_rows(old: Tensor, sources: Sequence[Sequence[int]], method: InitMethod = "mean") -> Tensor:
    """First values of new rows, from the old rows of the pieces that spelled each new token.

    Args:
        old: [V, H] rows of the base, input or output.
        sources: for each new token, the base ids that spelled it. An empty one (a byte the base had no token for) takes the mean of all old rows.
        method: "mean" averages the pieces; "position_weighted" lets later pieces count more; "norm_matched" scales each mean to the median norm of
            the old rows. With a tied head the plain mean was best before any training (docs/log.md): a longer row also takes probability from
            every other token.

    Returns:
        [len(sources), H] in float32.
    """
    if method not in get_args(InitMethod):
        raise ValueError(f"method is {method!r}; one of {', '.join(get_args(InitMethod))}")
    rows = torch.empty(len(sources), old.shape[1], dtype=torch.float32)
    decay = POSITION_DECAY if method == "position_weighted" else 1.0
    for index, ids in enumerate(sources):
        if not ids:
            rows[index] = old.to(torch.float32).mean(dim=0)
            continue
        weights = torch.tensor([decay ** (len(ids) - 1 - place) for place in range(len(ids))])
        rows[index] = weights @ old[list(ids)].to(torch.float32) / weights.sum()
    if method == "norm_matched":
        rows *= old.to(torch.float32).norm(dim=1).median() / rows.norm(dim=1, keepdim=True).clamp(min=1e-12)
    return rows


class ExtendedEmbedding(nn.Module):
    """The base's input embedding of V rows and, after them, W new rows that may train."""

    def __init__(self, base: nn.Embedding, new: nn.Parameter | None) -> None:
        super().__init__()
        self.base = base
        self.new = new

    def forward(self, ids: Tensor) -> Tensor:
        """ids: [...] -> [..., H] in the type of the base's rows."""
        num_old = self.base.weight.shape[0]
        if self.new is None:
            return nn.functional.embedding(ids, self.base.weight)
        is_new = ids >= num_old
        old = nn.functional.embedding(ids.masked_fill(is_new, 0), self.base.weight)
        new = nn.functional.embedding((ids - num_old).clamp(min=0), self.new.to(old.dtype))
        return torch.where(is_new[..., None], new, old)
