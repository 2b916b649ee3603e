"""Embedding and head matrices in one order of rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import Tensor

from jp_adapt.core.errors import InputError
from jp_adapt.merging.checkpoint import common_type
from jp_adapt.merging.methods import linear
from jp_adapt.merging.vocabulary import Alignment, Fill


def aligned_rows(matrices: Mapping[str, Tensor], alignment: Alignment, count: int | None = None) -> dict[str, Tensor]:
    """The matrix of each model, [count, H], with the rows that it lacks filled; those that need no change come back as they are.

    `count`: the first rows of the output, where a head lacks the last ones; all by default. InputError where a model's own head lacks others.
    """
    count = len(alignment.names) if count is None else count
    dtype = common_type([matrix.dtype for matrix in matrices.values()])
    result = {
        model: matrix if alignment.in_order(model) and len(matrix) == count else matrix.to(dtype).index_select(0, _places(model, alignment, count, len(matrix)))
        for model, matrix in matrices.items()
    }
    for model in matrices:
        groups: dict[Fill, list[int]] = defaultdict(list)
        for row, fill in alignment.fills[model].items():
            if row < count:
                groups[fill].append(row)
        for fill, rows in groups.items():
            if fill.pieces:
                new = matrices[model][list(fill.pieces)].to(torch.float32).mean(dim=0)
            else:
                donors = [fill.base] if fill.base else fill.donors
                new = linear([result[donor][rows] for donor in donors], [1.0] * len(donors))
            result[model][rows] = new.to(dtype)
    return result


def _places(model: str, alignment: Alignment, count: int, rows: int) -> Tensor:
    """Where in the model's matrix of `rows` rows the first `count` rows of the output stand; 0 for those that it lacks."""
    places = alignment.rows[model][:count]
    if lacking := [row for row, place in enumerate(places) if place >= rows]:
        raise InputError(f"'{model}' has a token {alignment.names[lacking[0]]!r} that its head has no row for; keep its tokenizer: tokenizer: {model}")
    return torch.tensor(places).clamp_(min=0)
