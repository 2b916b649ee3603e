"""Which elements of a model's difference to the base take part in a merge: the largest, random ones, or random ones by rank."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from jp_adapt.merging.blocks import combine, kth_largest

Sparsify = Callable[[Tensor, int], Tensor]  # a block of a difference, flat in float32, and the number of its first element -> what stays, in its place


def mask_seed(seed: int, model: str, tensor: str) -> int:
    """Seed of the random mask of one tensor of one model. It depends on nothing else, so shards, threads and the order of work change no mask."""
    return int.from_bytes(hashlib.sha256(f"{seed}\0{model}\0{tensor}".encode()).digest()[:16], "little")


def keep_all(difference: Tensor, first: int) -> Tensor:
    """What a density of 1 means."""
    return difference


def keep_largest(base: Tensor, model: Tensor, density: float, threshold: float | None = None) -> Sparsify:
    """The trimming of TIES (Yadav et al. 2306.01708): of n differences the int(`density` n) largest stay, at least one; what equals the last of them too.

    `threshold`: the smallest magnitude that stays, where it is known (`thresholds`).
    """
    if density >= 1:
        return keep_all
    least = thresholds(base, model, [density])[0] if threshold is None else threshold
    below = float(np.nextafter(np.float32(least), np.float32(-np.inf)))
    return lambda difference, first: torch.hardshrink(difference, below)  # keeps what lies beyond `below`: one operation in place of three


def thresholds(base: Tensor, model: Tensor, densities: Sequence[float]) -> list[float]:
    """The smallest magnitude that `keep_largest` keeps at each density, of one difference."""
    magnitudes = combine([base, model], lambda _, old, new: new.sub_(old).abs_()).view(-1)
    return kth_largest(magnitudes, [max(1, int(density * len(magnitudes))) for density in densities])


def drop_at_random(density: float, seed: int) -> Sparsify:
    """DARE (Yu et al. 2311.03099): each element stays with probability `density`, and is divided by it."""
    if density >= 1:
        return keep_all
    return lambda difference, first: difference.mul_(_uniform(seed, first, len(difference)).lt_(density)).div_(density)


def drop_by_rank(density: float, epsilon: float, seed: int, columns: int) -> Sparsify:
    """MAGPRUNE of DELLA (Deep et al. 2406.11617): the probability to stay rises evenly with the rank of the magnitude in its row of `columns` elements.

    It goes from `density` - `epsilon` for the smallest to `density` + `epsilon` for the largest; what stays is divided by its own probability. Of equal
    magnitudes the earlier one has the lower rank.
    """
    if density >= 1:
        return keep_all
    by_rank = torch.linspace(density - epsilon, density + epsilon, columns) if columns > 1 else torch.tensor([density])
    places = np.arange(columns, dtype=np.int64)

    def drop(difference: Tensor, first: int) -> Tensor:
        magnitudes = difference.abs().numpy().view(np.int32).reshape(-1, columns).astype(np.int64)  # of floats above 0 the bits have the same order
        order = np.sort((magnitudes << 32) | places, axis=1) & 0xFFFFFFFF  # ten times as fast as a stable argsort
        chance = torch.empty(order.shape).scatter_(1, torch.from_numpy(order), by_rank.expand(order.shape)).view(-1)
        return difference.mul_(_uniform(seed, first, len(difference)).lt_(chance)).div_(chance)

    return drop


def _uniform(seed: int, first: int, count: int) -> Tensor:
    """`count` float32 in [0, 1) from the `first` on, made of raw bits: numpy keeps the stream of these in all versions, and not that of its distributions."""
    draws = np.random.PCG64(seed).advance(first // 2)  # two of one raw number
    raw = draws.random_raw((first % 2 + count + 1) // 2).astype("<u8", copy=False).view("<u4")[first % 2 :][:count]
    return torch.from_numpy((raw >> 8).astype(np.float32)).mul_(2.0**-24)
