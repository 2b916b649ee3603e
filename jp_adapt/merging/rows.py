"""Embedding and head matrices in one order of rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

import torch
from torch import Tensor

from jp_adapt.merging.checkpoint import common_type
from jp_adapt.merging.methods import linear
from jp_adapt.merging.vocabulary import Alignment, Fill


def aligned_rows(matrices: Mapping[str, Tensor], alignment: Alignment) -> dict[str, Tensor]:
    """The matrix of each model, [rows of the output, H], with the rows that it lacks filled; those that need no change come back as they are."""
    dtype = common_type([matrix.dtype for matrix in matrices.values()])
    result = {
        model: matrix if alignment.in_order(model) else matrix.to(dtype).index_select(0, torch.tensor(alignment.rows[model]).clamp_(min=0))
        for model, matrix in matrices.items()
    }
    for model in matrices:
        groups: dict[Fill, list[int]] = defaultdict(list)
        for row, fill in alignment.fills[model].items():
            groups[fill].append(row)
        for fill, rows in groups.items():
            if fill.pieces:
                new = matrices[model][list(fill.pieces)].to(torch.float32).mean(dim=0)
            else:
                donors = [fill.base] if fill.base else fill.donors
                new = linear([result[donor][rows] for donor in donors], [1.0] * len(donors))
            result[model][rows] = new.to(dtype)
    return result
