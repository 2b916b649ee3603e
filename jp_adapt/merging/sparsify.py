"""Which elements of a model's difference to the base take part in a merge: the largest, random ones, or random ones by rank."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from jp_adapt.merging.blocks import combine, kth_largest

Sparsify = Callable[[Tensor, int], Tensor]  # a block of a difference, flat in float32, and the number of its first element -> what stays, in its place


@dataclass(frozen=True)
class Known:
    """What is known of a model's difference to the base from an earlier merge, with whatever weights and densities; None: it is found anew, block by block.

    Attributes:
        threshold: the smallest magnitude that `keep_largest` keeps at this density.
        draws: the random number of each element, flat (`random_numbers`).
        ranks: the place of each element's magnitude in its row, flat (`row_ranks`).
    """

    threshold: float | None = None
    draws: Tensor | None = None
    ranks: Tensor | None = None


UNKNOWN = Known()


def mask_seed(seed: int, model: str, tensor: str) -> int:
    """Seed of the random mask of one tensor of one model. It depends on nothing else, so shards, threads and the order of work change no mask."""
    return int.from_bytes(hashlib.sha256(f"{seed}\0{model}\0{tensor}".encode()).digest()[:16], "little")


def keep_all(difference: Tensor, first: int) -> Tensor:
    """What a density of 1 means."""
    return difference


def keep_largest(base: Tensor, model: Tensor, density: float, known: Known = UNKNOWN) -> Sparsify:
    """The trimming of TIES (Yadav et al. 2306.01708): of n differences the int(`density` n) largest stay, at least one; what equals the last of them too."""
    if density >= 1:
        return keep_all
    least = thresholds(base, model, [density])[0] if known.threshold is None else known.threshold
    below = float(np.nextafter(np.float32(least), np.float32(-np.inf)))
    return lambda difference, first: torch.hardshrink(difference, below)  # keeps what lies beyond `below`: one operation in place of three


def thresholds(base: Tensor, model: Tensor, densities: Sequence[float]) -> list[float]:
    """The smallest magnitude that `keep_largest` keeps at each density, of one difference."""
    magnitudes = combine([base, model], lambda _, old, new: new.sub_(old).abs_()).view(-1)
    return kth_largest(magnitudes, [max(1, int(density * len(magnitudes))) for density in densities])


def drop_at_random(density: float, seed: int, known: Known = UNKNOWN) -> Sparsify:
    """DARE (Yu et al. 2311.03099): each element stays with probability `density`, and is divided by it."""
    if density >= 1:
        return keep_all
    return lambda difference, first: difference.mul_(_drawn(seed, first, len(difference), known).lt_(density)).div_(density)


def drop_by_rank(density: float, epsilon: float, seed: int, columns: int, known: Known = UNKNOWN) -> Sparsify:
    """MAGPRUNE of DELLA (Deep et al. 2406.11617): the probability to stay rises evenly with the rank of the magnitude in its row of `columns` elements.

    It goes from `density` - `epsilon` for the smallest to `density` + `epsilon` for the largest; what stays is divided by its own probability. Of equal
    magnitudes the earlier one has the lower rank.
    """
    if density >= 1:
        return keep_all
    least, step = (density - epsilon, 2 * epsilon / (columns - 1)) if columns > 1 else (density, 0.0)

    def drop(difference: Tensor, first: int) -> Tensor:
        ranks = _ranks(difference, columns) if known.ranks is None else known.ranks[first : first + len(difference)].to(torch.float32)
        chance = ranks.mul_(step).add_(least)
        return difference.mul_(_drawn(seed, first, len(difference), known).lt_(chance)).div_(chance)

    return drop


def row_ranks(base: Tensor, model: Tensor) -> Tensor:
    """Of each element of a difference the place of its magnitude in its row, 0 for the smallest: flat, in the smallest type that holds the columns."""
    columns = base.shape[-1] if base.ndim else 1
    return combine([base, model], lambda _, old, new: _ranks(new.sub_(old), columns), torch.int16 if columns <= 1 << 15 else torch.int32).view(-1)


def _ranks(difference: Tensor, columns: int) -> Tensor:
    keys = difference.abs().numpy().view(np.int32).reshape(-1, columns).astype(np.int64)  # of floats above 0 the bits have the same order
    keys <<= 32
    keys |= np.arange(columns)
    keys.sort(axis=1)  # ten times as fast as a stable argsort
    keys &= 0xFFFFFFFF
    ranks = torch.arange(columns, dtype=torch.float32).expand(keys.shape)
    return torch.empty(keys.shape).scatter_(1, torch.from_numpy(keys), ranks).view(-1)


def random_numbers(seed: int, count: int) -> Tensor:
    """The random numbers that decide which of `count` elements stay."""
    return _uniform(seed, 0, count)


def _drawn(seed: int, first: int, count: int, known: Known) -> Tensor:
    return _uniform(seed, first, count) if known.draws is None else known.draws[first : first + count].clone()


def _uniform(seed: int, first: int, count: int) -> Tensor:
    """`count` float32 in [0, 1) from the `first` on, made of raw bits: numpy keeps the stream of these in all versions, and not that of its distributions."""
    draws = np.random.PCG64(seed).advance(first // 2)  # two of one raw number
    raw = draws.random_raw((first % 2 + count + 1) // 2).astype("<u8", copy=False).view("<u4")[first % 2 :][:count]
    return torch.from_numpy((raw >> 8).astype(np.float32)).mul_(2.0**-24)
