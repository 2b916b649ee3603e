"""Tensors in float32, a block of rows at a time: temporaries stay small, and no result depends on the number of threads."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

BLOCK = 1 << 18  # elements: 1 MB in float32, so that the temporaries of a few models stay in the cache
RUN = 4096  # elements that are summed in one go; torch never divides the terms of one sum among threads where there are many sums


def spans(shape: Sequence[int]) -> Iterator[slice]:
    """Parts of a flattened tensor of `shape`, each of whole rows (its last dimension) where the tensor has several."""
    total = math.prod(shape)
    row = shape[-1] if len(shape) > 1 else total
    size = max(1, BLOCK // max(1, row)) * max(1, row)
    for start in range(0, total, size):
        yield slice(start, min(start + size, total))


def combine(tensors: Sequence[Tensor], work: Callable[..., Tensor]) -> Tensor:
    """What `work` gives for the float32 blocks (flat, one of each tensor) of all tensors, put together: float32, in the shape of the first."""
    flat = [tensor.reshape(-1) for tensor in tensors]
    out = torch.empty(flat[0].shape, dtype=torch.float32)
    for span in spans(tensors[0].shape):
        out[span] = work(*(tensor[span].to(torch.float32) for tensor in flat))
    return out.view(tensors[0].shape)


def totals(tensors: Sequence[Tensor], work: Callable[..., Sequence[Tensor]]) -> list[float]:
    """Sums, in float64, of each tensor that `work` gives for the float32 blocks of all tensors; the same on any number of threads."""
    flat = [tensor.reshape(-1) for tensor in tensors]
    sums: list[float] = []
    for span in spans(tensors[0].shape):
        parts = [_total(values) for values in work(*(tensor[span].to(torch.float32) for tensor in flat))]
        sums = [old + new for old, new in zip(sums, parts, strict=True)] if sums else parts
    return sums


def _total(values: Tensor) -> float:
    values = values.to(torch.float64)
    whole = len(values) - len(values) % RUN
    return float(values[:whole].view(-1, RUN).sum(dim=1).sum() + values[whole:].sum())


def kth_largest(values: Tensor, ks: Sequence[int]) -> list[float]:
    """The k-th largest of a flat float32 tensor for each k, counted from 1. The tensor is reordered."""
    array = values.numpy()
    places = [len(array) - k for k in ks]
    array.partition(sorted(set(places)))  # ten times as fast as torch's kthvalue
    return [float(array[place]) for place in places]
