"""Which elements of a model's difference to the base take part in a merge: the largest, random ones, or random ones by rank."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from jp_adapt.merging.blocks import combine, kth_largest

Sparsify = Callable[[Tensor], Tensor]  # one block of a difference after the other, each flat in float32 -> the same with what is dropped set to 0


def mask_seed(seed: int, model: str, tensor: str) -> int:
    """Seed of the random mask of one tensor of one model. It depends on nothing else, so shards, threads and the order of work change no mask."""
    return int.from_bytes(hashlib.sha256(f"{seed}\0{model}\0{tensor}".encode()).digest()[:16], "little")


def keep_all(difference: Tensor) -> Tensor:
    """What a density of 1 means."""
    return difference


def keep_largest(base: Tensor, model: Tensor, density: float, threshold: float | None = None) -> Sparsify:
    """The trimming of TIES (Yadav et al. 2306.01708): of n differences the int(`density` n) largest stay, at least one; what equals the last of them too.

    `threshold`: the smallest magnitude that stays, where it is known (`thresholds`).
    """
    if density >= 1:
        return keep_all
    least = thresholds(base, model, [density])[0] if threshold is None else threshold
    return lambda difference: torch.where(difference.abs() >= least, difference, 0.0)


def thresholds(base: Tensor, model: Tensor, densities: Sequence[float]) -> list[float]:
    """The smallest magnitude that `keep_largest` keeps at each density, of one difference."""
    magnitudes = combine([base, model], lambda old, new: (new - old).abs_()).view(-1)
    return kth_largest(magnitudes, [max(1, int(density * len(magnitudes))) for density in densities])


def drop_at_random(density: float, seed: int) -> Sparsify:
    """DARE (Yu et al. 2311.03099): each element stays with probability `density`, and is divided by it."""
    if density >= 1:
        return keep_all
    draws = np.random.PCG64(seed)
    return lambda difference: torch.where(_uniform(draws, len(difference)) < density, difference / density, 0.0)


def drop_by_rank(density: float, epsilon: float, seed: int, columns: int) -> Sparsify:
    """MAGPRUNE of DELLA (Deep et al. 2406.11617): the probability to stay rises evenly with the rank of the magnitude in its row of `columns` elements.

    It goes from `density` - `epsilon` for the smallest to `density` + `epsilon` for the largest; what stays is divided by its own probability. Of equal
    magnitudes the earlier one has the lower rank.
    """
    if density >= 1:
        return keep_all
    draws = np.random.PCG64(seed)
    by_rank = torch.linspace(density - epsilon, density + epsilon, columns) if columns > 1 else torch.tensor([density])

    def drop(difference: Tensor) -> Tensor:
        order = difference.view(-1, columns).abs().argsort(dim=1, stable=True)
        chance = torch.empty(order.shape).scatter_(1, order, by_rank.expand(order.shape)).view(-1)
        return torch.where(_uniform(draws, len(difference)) < chance, difference / chance, 0.0)

    return drop


def _uniform(draws: np.random.PCG64, count: int) -> Tensor:
    """`count` float32 in [0, 1), made of raw bits: numpy keeps the stream of these in all its versions, but not that of its distributions."""
    raw = draws.random_raw((count + 1) // 2).astype("<u8", copy=False).view("<u4")[:count]
    return torch.from_numpy((raw >> 8).astype(np.float32)).mul_(2.0**-24)
