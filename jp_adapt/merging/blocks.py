"""Tensors in float32, a block of rows at a time: temporaries stay in the cache, threads share the blocks, and no result depends on their number."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Barrier

import numpy as np
import torch
from torch import Tensor

BLOCK = 1 << 16  # elements: 256 KB in float32, so that the blocks of a few models and what is made of them stay in a core's cache
Work = Callable[..., Tensor]  # (number of the first element, float32 blocks of all tensors, which it may overwrite) -> one block


def spans(shape: Sequence[int]) -> Iterator[slice]:
    """Parts of a flattened tensor of `shape`, each of whole rows (its last dimension) where the tensor has several."""
    total = math.prod(shape)
    row = shape[-1] if len(shape) > 1 else total
    size = max(1, BLOCK // max(1, row)) * max(1, row)
    for start in range(0, total, size):
        yield slice(start, min(start + size, total))


def combine(tensors: Sequence[Tensor], work: Work, dtype: torch.dtype = torch.float32) -> Tensor:
    """What `work` gives for the blocks of all tensors, put together: in the shape of the first, as `dtype`."""
    out = _empty(tensors[0].shape, dtype)
    flat = out.view(-1)

    def put(_: int, span: slice, blocks: list[Tensor]) -> None:
        flat[span].copy_(work(span.start, *blocks))

    _each_block(tensors, put)
    return out


def _empty(shape: torch.Size, dtype: torch.dtype) -> Tensor:
    """As torch.empty, but from numpy, which asks Linux for pages of 2 MB: those of 4 KB cost as much time as the arithmetic of a simple method."""
    elements = shape.numel()
    return torch.from_numpy(np.empty(max(1, elements) * dtype.itemsize, dtype=np.uint8)).view(dtype)[:elements].view(shape)


def products(tensors: Sequence[Tensor], work: Callable[..., Sequence[Tensor]], pairs: Sequence[tuple[int, int]]) -> list[float]:
    """Inner products, in float64, of pairs of the vectors that `work` gives for the float32 blocks of all tensors, which it may overwrite."""
    parts: dict[int, list[float]] = {}

    def multiply(number: int, _: slice, blocks: list[Tensor]) -> None:
        wide = [values.to(torch.float64) for values in work(*blocks)]
        parts[number] = [float(torch.dot(wide[first], wide[second])) for first, second in pairs]

    _each_block(tensors, multiply)
    return [math.fsum(part[place] for part in parts.values()) for place in range(len(pairs))]


def kth_largest(values: Tensor, ks: Sequence[int]) -> list[float]:
    """The k-th largest of a flat float32 tensor for each k, counted from 1. The tensor is reordered."""
    array = values.numpy()
    places = [len(array) - k for k in ks]
    array.partition(sorted(set(places)))  # ten times as fast as torch's kthvalue
    return [float(array[place]) for place in places]


def _each_block(tensors: Sequence[Tensor], work: Callable[[int, slice, list[Tensor]], None]) -> None:
    """Call `work` with the number, the place and the float32 blocks of each part of the tensors, in as many threads as torch has.

    Each thread takes the next part that is left, and reads it into the same few blocks.
    """
    flat = [tensor.reshape(-1) for tensor in tensors]
    parts = list(enumerate(spans(tensors[0].shape)))
    longest = max((span.stop - span.start for _, span in parts), default=0)
    left = iter(parts)

    def take() -> None:
        blocks = [torch.empty(longest) for _ in flat]
        for number, span in left:
            work(number, span, [block[: span.stop - span.start].copy_(tensor[span]) for block, tensor in zip(blocks, flat, strict=True)])

    threads = torch.get_num_threads()
    if threads == 1:
        take()
        return
    for done in [_pool(threads).submit(take) for _ in range(min(threads, len(parts)))]:
        done.result()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads in each of which torch uses no further ones."""
    pool = ThreadPoolExecutor(threads)
    begun = Barrier(threads + 1)
    for _ in range(threads):
        pool.submit(_begin, begun)
    begun.wait()
    torch.set_num_threads(threads)  # what threads to come begin with, which each of these has set to 1
    return pool


def _begin(begun: Barrier) -> None:
    torch.set_num_threads(1)
    begun.wait()
