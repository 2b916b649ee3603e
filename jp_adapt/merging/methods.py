"""The merge methods: each a function of the tensors of one name.

`models` are the tensors of the models, `base` that of the model they were tuned from; all have one shape, any floating-point type, and stay as they are. The
arithmetic is float32, sums over a whole tensor are float64, and the result is of type `dtype`. Where the models do not differ, it is theirs to the bit.
What a recipe may set for each method stands in `table.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from jp_adapt.core.errors import UsageError
from jp_adapt.merging.blocks import combine, kth_largest, products
from jp_adapt.merging.sparsify import UNKNOWN, Known, Sparsify, drop_at_random, drop_by_rank, keep_all, keep_largest

COLLINEAR = 0.9995  # cosine above which slerp interpolates linearly, since it divides by the sine
TINY = 1e-12
FLOAT = torch.float32


def linear(models: Sequence[Tensor], weights: Sequence[float], *, normalize: bool = True, dtype: torch.dtype = FLOAT) -> Tensor:
    """Weighted mean of the models (Wortsman et al., Model soups, 2203.05482); with `normalize` off, their weighted sum.

    Raises:
        UsageError: the weights add up to 0 and are to be normalised.
    """
    return _weighted_sum(models, _normalized(weights) if normalize else weights, dtype)


def slerp(models: Sequence[Tensor], t: float, *, dtype: torch.dtype = FLOAT) -> Tensor:
    """Spherical interpolation from the first of two models (t = 0) to the second (t = 1), as vectors of all their elements (Shoemake, SIGGRAPH 1985).

    Nearly collinear vectors are interpolated linearly, a zero vector and another one too.
    """
    dot, first_square, second_square = products(models, lambda first, second: (first, second), [(0, 1), (0, 0), (1, 1)])
    norms = math.sqrt(first_square) * math.sqrt(second_square)
    cosine = dot / norms if norms > 0 else 1.0
    if abs(cosine) > COLLINEAR:
        return _weighted_sum(models, (1 - t, t), dtype)
    angle = math.acos(cosine)
    return _weighted_sum(models, (math.sin((1 - t) * angle) / math.sin(angle), math.sin(t * angle) / math.sin(angle)), dtype)


def task_arithmetic(
    base: Tensor, models: Sequence[Tensor], weights: Sequence[float], *, scale: float = 1.0, normalize: bool = False, dtype: torch.dtype = FLOAT
) -> Tensor:
    """The base plus the weighted sum of the models' differences to it, times `scale` (Ilharco et al. 2212.04089); with `normalize`, their weighted mean."""
    taken = [scale * weight for weight in (_normalized(weights) if normalize else weights)]
    return _weighted_sum([base, *models], [1.0 - math.fsum(taken), *taken], dtype)


def ties(
    base: Tensor,
    models: Sequence[Tensor],
    weights: Sequence[float],
    densities: Sequence[float],
    *,
    scale: float = 1.0,
    normalize: bool = True,
    known: Sequence[Known] = (),
    dtype: torch.dtype = FLOAT,
) -> Tensor:
    """TIES (Yadav et al. 2306.01708): trim each difference to its largest elements, elect a sign for each element, and merge what agrees with it.

    Args:
        densities: share of elements that is kept of each difference.
        normalize: divide by the weights of the models that take part in an element (the paper's disjoint mean); else their weighted sum.
        known: what is known of each model's difference already.
    """
    sparse = [keep_largest(base, model, density, entry) for model, density, entry in zip(models, densities, _all(known, models), strict=True)]
    return _fuse(base, models, weights, sparse, elect=True, scale=scale, normalize=normalize, dtype=dtype)


def dare_linear(
    base: Tensor,
    models: Sequence[Tensor],
    weights: Sequence[float],
    densities: Sequence[float],
    seeds: Sequence[int],
    *,
    scale: float = 1.0,
    normalize: bool = False,
    known: Sequence[Known] = (),
    dtype: torch.dtype = FLOAT,
) -> Tensor:
    """DARE (Yu et al. 2311.03099) with task arithmetic: drop elements of the differences at random, divide the others by the density, add them up.

    Args:
        densities: probability with which an element of each difference stays.
        seeds: of the random masks, one a model (`mask_seed`).
        known: as of `ties`.
    """
    sparse = [drop_at_random(*entry) for entry in zip(densities, seeds, _all(known, models), strict=True)]
    return _fuse(base, models, weights, sparse, elect=False, scale=scale, normalize=normalize, dtype=dtype)


def dare_ties(
    base: Tensor,
    models: Sequence[Tensor],
    weights: Sequence[float],
    densities: Sequence[float],
    seeds: Sequence[int],
    *,
    scale: float = 1.0,
    normalize: bool = False,
    known: Sequence[Known] = (),
    dtype: torch.dtype = FLOAT,
) -> Tensor:
    """DARE (Yu et al. 2311.03099) with the election of signs of TIES; arguments as of `dare_linear` and `ties`."""
    sparse = [drop_at_random(*entry) for entry in zip(densities, seeds, _all(known, models), strict=True)]
    return _fuse(base, models, weights, sparse, elect=True, scale=scale, normalize=normalize, dtype=dtype)


def della_linear(
    base: Tensor,
    models: Sequence[Tensor],
    weights: Sequence[float],
    densities: Sequence[float],
    epsilons: Sequence[float],
    seeds: Sequence[int],
    *,
    scale: float = 1.0,
    normalize: bool = False,
    known: Sequence[Known] = (),
    dtype: torch.dtype = FLOAT,
) -> Tensor:
    """DELLA (Deep et al. 2406.11617) without its election of signs; arguments as of `della`."""
    sparse = _by_rank(base, densities, epsilons, seeds, _all(known, models))
    return _fuse(base, models, weights, sparse, elect=False, scale=scale, normalize=normalize, dtype=dtype)


def della(
    base: Tensor,
    models: Sequence[Tensor],
    weights: Sequence[float],
    densities: Sequence[float],
    epsilons: Sequence[float],
    seeds: Sequence[int],
    *,
    scale: float = 1.0,
    normalize: bool = True,
    known: Sequence[Known] = (),
    dtype: torch.dtype = FLOAT,
) -> Tensor:
    """DELLA (Deep et al. 2406.11617): drop small elements of each row more often than large ones, elect signs, and merge what agrees, as TIES does.

    Args:
        densities: probability with which an element of each difference stays, on average over a row.
        epsilons: how much more the largest of a row stays, and how much less the smallest.
        seeds: of the random masks, one a model (`mask_seed`).
        known: as of `ties`.
    """
    sparse = _by_rank(base, densities, epsilons, seeds, _all(known, models))
    return _fuse(base, models, weights, sparse, elect=True, scale=scale, normalize=normalize, dtype=dtype)


def model_stock(base: Tensor, models: Sequence[Tensor], *, dtype: torch.dtype = FLOAT) -> Tensor:
    """Model Stock (Jang et al. 2403.19522): from the base towards the mean of two or more models, as far as the angles between their differences say.

    The share t of the mean is k cos / (1 + (k - 1) cos) of k models, cos being the mean cosine of two differences.
    """
    count = len(models)
    pairs = [(i, j) for i in range(count) for j in range(i, count)]
    sums = products([base, *models], lambda old, *new: [entry.sub_(old) for entry in new], pairs)
    dots = dict(zip(pairs, sums, strict=True))
    norms = [math.sqrt(dots[i, i]) for i in range(count)]
    cosines = [dots[i, j] / max(norms[i] * norms[j], TINY) for i, j in pairs if i < j]
    cosine = math.fsum(cosines) / len(cosines)
    divisor = 1 + (count - 1) * cosine
    t = count * cosine / divisor if divisor > TINY else 0.0
    return _weighted_sum([base, *models], [1 - t, *[t / count] * count], dtype)


def sce(base: Tensor, models: Sequence[Tensor], *, topk: float = 1.0, dtype: torch.dtype = FLOAT) -> Tensor:
    """SCE (Wan et al., FuseChat, 2408.07990): select the elements that vary most among the models, weigh each model by the squares of its differences
    there, and erase what disagrees with the elected sign.

    Args:
        topk: share that is selected of those elements which vary at all.
    """
    everything = [base, *models]
    threshold = 0.0
    if topk < 1:
        variances = combine(everything, lambda _, old, *new: _variance([entry.sub_(old) for entry in new])).view(-1)
        selected = int(topk * int(torch.count_nonzero(variances)))
        if selected == 0:
            return base.to(dtype)
        (threshold,) = kth_largest(variances, [selected])
        del variances

    def differences(old: Tensor, *new: Tensor) -> list[Tensor]:
        changes = [entry.sub_(old) for entry in new]
        if topk < 1:
            chosen = _variance(changes).ge_(threshold)
            changes = [change.mul_(chosen) for change in changes]
        return changes

    squares = products(everything, differences, [(number, number) for number in range(len(models))])
    if not any(squares):
        return base.to(dtype)
    weights = [square / math.fsum(squares) for square in squares]
    ones = [1.0] * len(models)
    return combine(everything, lambda _, old, *new: _add(old, _elected(differences(old, *new), weights, ones, normalize=True)), dtype)


def passthrough(models: Sequence[Tensor], scales: Sequence[float], *, dtype: torch.dtype = FLOAT) -> Tensor:
    """The tensor of the one model, times its scale. Layers are stacked so (SOLAR, Kim et al. 2312.15166)."""
    (model,), (scale,) = models, scales
    return model.to(dtype) if scale == 1 else combine([model], lambda _, block: block.mul_(scale), dtype)


def _normalized(weights: Sequence[float]) -> list[float]:
    total = math.fsum(weights)
    if abs(total) < TINY:
        raise UsageError(f"the weights {', '.join(f'{weight:g}' for weight in weights)} add up to 0, so there is no mean; change them, or set normalize: false")
    return [weight / total for weight in weights]


def _weighted_sum(tensors: Sequence[Tensor], weights: Sequence[float], dtype: torch.dtype) -> Tensor:
    """From the tensor of the largest weight towards the others: exact where they are equal and the weights add up to 1, or one weight is 1 and the others 0."""
    anchor = max(range(len(weights)), key=lambda index: abs(weights[index]))
    total = math.fsum(weights)
    others = [index for index, weight in enumerate(weights) if index != anchor and weight != 0]

    def towards(_: int, start: Tensor, *blocks: Tensor) -> Tensor:
        change: Tensor | None = None
        for block, index in zip(blocks, others, strict=True):
            apart = torch.sub(start, block, out=block) if weights[index] > 0 else block.sub_(start)  # what is equal gives 0, and never -0.0
            scaled = abs(weights[index])
            change = apart.mul_(scaled) if change is None else change.add_(apart, alpha=scaled)
        moved = start if total == 1 else start.mul_(total)
        return moved if change is None else moved.sub_(change)

    return combine([tensors[anchor], *(tensors[index] for index in others)], towards, dtype)


def _add(start: Tensor, change: Tensor, scale: float = 1.0) -> Tensor:
    """The start plus `scale` times the change, in the place of both; where nothing changes even -0.0 stays what it is, for x - 0.0 is x."""
    return start.sub_(change.mul_(-scale).add_(0.0))


def _fuse(
    base: Tensor,
    models: Sequence[Tensor],
    weights: Sequence[float],
    sparse: Sequence[Sparsify],
    *,
    elect: bool,
    scale: float,
    normalize: bool,
    dtype: torch.dtype,
) -> Tensor:
    """The base and the weighted differences that `sparse` leaves of the models, with or without an election of signs."""
    if all(keep is keep_all for keep in sparse) and (len(models) == 1 or not elect):  # nothing is dropped, and nobody disagrees
        return task_arithmetic(base, models, weights, scale=scale, normalize=normalize, dtype=dtype)
    shares = weights if elect or not normalize else _normalized(weights)

    def fuse(first: int, old: Tensor, *new: Tensor) -> Tensor:
        changes = [keep(entry.sub_(old), first) for keep, entry in zip(sparse, new, strict=True)]
        return _add(old, _elected(changes, shares, shares, normalize=normalize) if elect else _sum(changes, shares), scale)

    return combine([base, *models], fuse, dtype)


def _sum(changes: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    total = torch.mul(changes[0], weights[0])
    for change, weight in zip(changes[1:], weights[1:], strict=True):
        total.add_(change, alpha=weight)
    return total


def _elected(changes: Sequence[Tensor], weights: Sequence[float], votes: Sequence[float], *, normalize: bool) -> Tensor:
    """The weighted sum of the changes whose sign, times their vote, is that of the sum of all votes (0 counts as positive); or their weighted mean.

    The changes are written over. Masks are float32, 0 and 1: torch makes and reads a bool many times slower.
    """
    sign = _sum(changes, votes).ge_(0.0).mul_(2.0).sub_(1.0)
    total, divisor = torch.zeros_like(sign), torch.zeros_like(sign)
    for change, weight, vote in zip(changes, weights, votes, strict=True):
        if vote == 0:
            continue  # it has no sign
        agreeing = change.mul_(sign) if vote > 0 else change.mul_(sign).neg_()
        total.add_(agreeing.clamp_min_(0.0), alpha=weight if vote > 0 else -weight)
        if normalize:
            divisor.add_(agreeing.gt_(0.0), alpha=weight)
    total.mul_(sign)
    if not normalize:
        return total
    nobody = min(weights) if min(weights) > 0 else 0.0  # a divisor below the least weight is that of an element in which nobody takes part
    return total.div_(divisor.clamp_min_(nobody) if nobody else torch.where(divisor == 0, 1.0, divisor))


def _by_rank(base: Tensor, densities: Sequence[float], epsilons: Sequence[float], seeds: Sequence[int], known: Sequence[Known]) -> list[Sparsify]:
    columns = base.shape[-1] if base.ndim else 1
    return [drop_by_rank(density, epsilon, seed, columns, entry) for density, epsilon, seed, entry in zip(densities, epsilons, seeds, known, strict=True)]


def _all(known: Sequence[Known], models: Sequence[Tensor]) -> Sequence[Known]:
    return known or [UNKNOWN] * len(models)


def _variance(values: Sequence[Tensor]) -> Tensor:
    """Of each element, over the tensors."""
    mean = _sum(values, [1 / len(values)] * len(values))
    return _sum([torch.sub(value, mean).square_() for value in values], [1 / len(values)] * len(values))
