"""New embedding rows as parameters of their own: the old rows stay frozen bit for bit, and only the new ones train, are saved, and cost memory.

The ids of new tokens follow those of the tokenizer. Many models have more rows than their tokenizer has tokens (padded to a multiple of 64, say): the first new
tokens have ids there, and their new rows take the place of rows that no token ever used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from jp_adapt.core.errors import InputError

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


@dataclass(frozen=True)
class RowOrder:
    """Where the rows of ids stand when those of the base and the new ones are two matrices.

    Ids below `first` are the base's, the next `count` ids are new, and `after` rows of the base follow that no token has (0 unless there are fewer new tokens
    than such rows).
    """

    first: int
    count: int = 0
    after: int = 0

    def columns(self, ids: Tensor) -> Tensor:
        """Columns of ids in logits of the base's rows, those behind the new ids included, followed by logits of the new rows."""
        if not self.after:
            return ids
        end = self.first + self.count
        return torch.where(ids >= end, ids - self.count, torch.where(ids >= self.first, ids + self.after, ids))

    def join(self, base: Tensor, new: Tensor, dim: int = 0) -> Tensor:
        """Rows (or, along `dim`, logits) of the base and new ones in the order of the ids."""
        before, after = base.split([self.first, self.after], dim)
        return torch.cat([before, new, after], dim)


def take_rows(base: Any, first: int, count: int) -> RowOrder:
    """Take the rows of the ids `first` to `first + count - 1`, as far as there are any, out of embedding and head of a transformers model, for new rows.

    InputError where the rows end below `first`: some token of the tokenizer has none.
    """
    num_rows = int(base.get_input_embeddings().weight.shape[0])
    if num_rows < first:
        raise InputError(
            f"the embedding has {num_rows:,} rows, and the tokenizer {first:,} tokens: ids from {num_rows:,} on have no row; "
            "give the tokenizer that belongs to the model, or a model whose embedding was resized for it"
        )
    tied = bool(base.config.tie_word_embeddings)
    order = RowOrder(first, count, max(0, num_rows - first - count))
    if num_rows > first:
        for layer in (base.get_input_embeddings(), *(() if tied else (base.get_output_embeddings(),))):
            set_rows(layer, torch.cat([layer.weight[:first], layer.weight[first + count :]]))
        if tied:
            base.get_output_embeddings().weight = base.get_input_embeddings().weight
    return order


def set_rows(layer: Any, rows: Tensor) -> None:
    """Give an embedding or a linear layer other rows, frozen."""
    layer.weight = nn.Parameter(rows.detach(), requires_grad=False)
    for name in ("num_embeddings", "out_features"):
        if hasattr(layer, name):
            setattr(layer, name, rows.shape[0])


class ExtendedEmbedding(nn.Module):
    """The base's input embedding and W new rows that may train, in the order of `order`."""

    def __init__(self, base: nn.Embedding, new: nn.Parameter | None, order: RowOrder | None = None) -> None:
        """`order`: None where the new rows follow all rows of the base."""
        super().__init__()
        self.base = base
        self.new = new
        self.order = order or RowOrder(int(base.weight.shape[0]), 0 if new is None else len(new))

    def forward(self, ids: Tensor) -> Tensor:
        """ids: [...] -> [..., H] in the type of the base's rows."""
        if self.new is None:
            return nn.functional.embedding(ids, self.base.weight)
        first, end = self.order.first, self.order.first + self.order.count
        is_new = (ids >= first) & (ids < end) if self.order.after else ids >= first
        old_ids = self.order.columns(ids) if self.order.after else ids
        old = nn.functional.embedding(old_ids.masked_fill(is_new, 0), self.base.weight)
        new = nn.functional.embedding((ids - first).masked_fill(~is_new, 0), self.new.to(old.dtype))
        return torch.where(is_new[..., None], new, old)
