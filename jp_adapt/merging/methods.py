"""The merge methods: each a function of the tensors of one name.

`models` are the tensors of the models, `base` that of the model they were tuned from; all have one shape, any floating-point type, and stay as they are. The
arithmetic and the result are float32; sums over a whole tensor are float64. Where the models do not differ, the result is theirs to the bit.
What a recipe may set for each method stands in `table.py`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from jp_adapt.core.errors import UsageError
from jp_adapt.merging.blocks import combine, kth_largest, totals
from jp_adapt.merging.sparsify import Sparsify, drop_at_random, drop_by_rank, keep_all, keep_largest

COLLINEAR = 0.9995  # cosine above which slerp interpolates linearly, since it divides by the sine
TINY = 1e-12


def linear(models: Sequence[Tensor], weights: Sequence[float], *, normalize: bool = True) -> Tensor:
    """Weighted mean of the models (Wortsman et al., Model soups, 2203.05482); with `normalize` off, their weighted sum.

    Raises:
        UsageError: the weights add up to 0 and are to be normalised.
    """
    return _weighted_sum(models, _normalized(weights) if normalize else weights)


def slerp(models: Sequence[Tensor], t: float) -> Tensor:
    """Spherical interpolation from the first of two models (t = 0) to the second (t = 1), as vectors of all their elements (Shoemake, SIGGRAPH 1985).

    Nearly collinear vectors are interpolated linearly, a zero vector and another one too.
    """
    first, second = models
    dot, first_square, second_square = totals([first, second], lambda a, b: (a * b, a * a, b * b))
    norms = math.sqrt(first_square) * math.sqrt(second_square)
    cosine = dot / norms if norms > 0 else 1.0
    if abs(cosine) > COLLINEAR:
        return _weighted_sum(models, (1 - t, t))
    angle = math.acos(cosine)
    return _weighted_sum(models, (math.sin((1 - t) * angle) / math.sin(angle), math.sin(t * angle) / math.sin(angle)))


def task_arithmetic(base: Tensor, models: Sequence[Tensor], weights: Sequence[float], *, scale: float = 1.0, normalize: bool = False) -> Tensor:
    """The base plus the weighted sum of the models' differences to it, times `scale` (Ilharco et al. 2212.04089); with `normalize`, their weighted mean."""
    taken = [scale * weight for weight in (_normalized(weights) if normalize else weights)]
    return _weighted_sum([base, *models], [1.0 - math.fsum(taken), *taken])


def ties(
    base: Tensor,
    models: Sequence[Tensor],
    weights: Sequence[float],
    densities: Sequence[float],
    *,
    scale: float = 1.0,
    normalize: bool = True,
    thresholds: Sequence[float | None] | None = None,
) -> Tensor:
    """TIES (Yadav et al. 2306.01708): trim each difference to its largest elements, elect a sign for each element, and merge what agrees with it.

    Args:
        densities: share of elements that is kept of each difference.
        normalize: divide by the weights of the models that take part in an element (the paper's disjoint mean); else their weighted sum.
        thresholds: the smallest magnitude that each model keeps, where it is known (`sparsify.thresholds`).
    """
    known = thresholds or [None] * len(models)
    sparse = [keep_largest(base, model, density, least) for model, density, least in zip(models, densities, known, strict=True)]
    return _fuse(base, models, weights, sparse, elect=True, scale=scale, normalize=normalize)


def dare_linear(
    base: Tensor,
    models: Sequence[Tensor],
    weights: Sequence[float],
    densities: Sequence[float],
    seeds: Sequence[int],
    *,
    scale: float = 1.0,
    normalize: bool = False,
) -> Tensor:
    """DARE (Yu et al. 2311.03099) with task arithmetic: drop elements of the differences at random, divide the others by the density, add them up.

    Args:
        densities: probability with which an element of each difference stays.
        seeds: of the random masks, one a model (`mask_seed`).
    """
    sparse = [drop_at_random(density, seed) for density, seed in zip(densities, seeds, strict=True)]
    return _fuse(base, models, weights, sparse, elect=False, scale=scale, normalize=normalize)


def dare_ties(
    base: Tensor,
    models: Sequence[Tensor],
    weights: Sequence[float],
    densities: Sequence[float],
    seeds: Sequence[int],
    *,
    scale: float = 1.0,
    normalize: bool = False,
) -> Tensor:
    """DARE (Yu et al. 2311.03099) with the election of signs of TIES; arguments as of `dare_linear` and `ties`."""
    sparse = [drop_at_random(density, seed) for density, seed in zip(densities, seeds, strict=True)]
    return _fuse(base, models, weights, sparse, elect=True, scale=scale, normalize=normalize)


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
) -> Tensor:
    """DELLA (Deep et al. 2406.11617) without its election of signs; arguments as of `della`."""
    sparse = _by_rank(base, densities, epsilons, seeds)
    return _fuse(base, models, weights, sparse, elect=False, scale=scale, normalize=normalize)


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
) -> Tensor:
    """DELLA (Deep et al. 2406.11617): drop small elements of each row more often than large ones, elect signs, and merge what agrees, as TIES does.

    Args:
        densities: probability with which an element of each difference stays, on average over a row.
        epsilons: how much more the largest of a row stays, and how much less the smallest.
        seeds: of the random masks, one a model (`mask_seed`).
    """
    sparse = _by_rank(base, densities, epsilons, seeds)
    return _fuse(base, models, weights, sparse, elect=True, scale=scale, normalize=normalize)


def model_stock(base: Tensor, models: Sequence[Tensor]) -> Tensor:
    """Model Stock (Jang et al. 2403.19522): from the base towards the mean of two or more models, as far as the angles between their differences say.

    The share t of the mean is k cos / (1 + (k - 1) cos) of k models, cos being the mean cosine of two differences.
    """
    count = len(models)
    pairs = [(i, j) for i in range(count) for j in range(i, count)]

    def products(old: Tensor, *new: Tensor) -> list[Tensor]:
        differences = [entry - old for entry in new]
        return [differences[i] * differences[j] for i, j in pairs]

    dots = dict(zip(pairs, totals([base, *models], products), strict=True))
    norms = [math.sqrt(dots[i, i]) for i in range(count)]
    cosines = [dots[i, j] / max(norms[i] * norms[j], TINY) for i, j in pairs if i < j]
    cosine = math.fsum(cosines) / len(cosines)
    divisor = 1 + (count - 1) * cosine
    t = count * cosine / divisor if divisor > TINY else 0.0
    return _weighted_sum([base, *models], [1 - t, *[t / count] * count])


def sce(base: Tensor, models: Sequence[Tensor], *, topk: float = 1.0) -> Tensor:
    """SCE (Wan et al., FuseChat, 2408.07990): select the elements that vary most among the models, weigh each model by the squares of its differences
    there, and erase what disagrees with the elected sign.

    Args:
        topk: share that is selected of those elements which vary at all.
    """
    everything = [base, *models]
    threshold = 0.0
    if topk < 1:
        variances = combine(everything, lambda old, *new: _variance([entry - old for entry in new])).view(-1)
        selected = int(topk * int(torch.count_nonzero(variances)))
        if selected == 0:
            return base.to(torch.float32)
        (threshold,) = kth_largest(variances, [selected])
        del variances

    def differences(old: Tensor, *new: Tensor) -> list[Tensor]:
        changes = [entry - old for entry in new]
        if topk < 1:
            chosen = _variance(changes) >= threshold
            changes = [torch.where(chosen, change, 0.0) for change in changes]
        return changes

    squares = totals(everything, lambda old, *new: [change * change for change in differences(old, *new)])
    if not any(squares):
        return base.to(torch.float32)
    weights = [square / math.fsum(squares) for square in squares]
    return combine(everything, lambda old, *new: _add(old, _elected(differences(old, *new), weights, [1.0] * len(models), normalize=True)))


def passthrough(models: Sequence[Tensor], scales: Sequence[float]) -> Tensor:
    """The tensor of the one model, in its own type; where its scale is not 1, in float32 times that. Layers are stacked so (SOLAR, Kim et al. 2312.15166)."""
    (model,), (scale,) = models, scales
    return model if scale == 1 else combine([model], lambda block: block * scale)


def _normalized(weights: Sequence[float]) -> list[float]:
    total = math.fsum(weights)
    if abs(total) < TINY:
        raise UsageError(f"the weights {', '.join(f'{weight:g}' for weight in weights)} add up to 0, so there is no mean; change them, or set normalize: false")
    return [weight / total for weight in weights]


def _weighted_sum(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """From the tensor of the largest weight towards the others: exact where they are equal and the weights add up to 1, or one weight is 1 and the others 0."""
    anchor = max(range(len(weights)), key=lambda index: abs(weights[index]))
    total = math.fsum(weights)
    others = [(tensors[index], weight) for index, weight in enumerate(weights) if index != anchor and weight != 0]

    def towards(start: Tensor, *blocks: Tensor) -> Tensor:
        change = torch.zeros_like(start)
        for block, (_, weight) in zip(blocks, others, strict=True):
            change.add_(block - start, alpha=weight)
        return _add(start * total, change)

    return combine([tensors[anchor], *(tensor for tensor, _ in others)], towards)


def _add(start: Tensor, change: Tensor) -> Tensor:
    """Their sum; where nothing changes even -0.0 stays what it is."""
    return torch.where(change == 0, start, start + change)


def _fuse(
    base: Tensor, models: Sequence[Tensor], weights: Sequence[float], sparse: Sequence[Sparsify], *, elect: bool, scale: float, normalize: bool
) -> Tensor:
    """The base and the weighted differences that `sparse` leaves of the models, with or without an election of signs."""
    if all(keep is keep_all for keep in sparse) and (len(models) == 1 or not elect):  # nothing is dropped, and nobody disagrees
        return task_arithmetic(base, models, weights, scale=scale, normalize=normalize)
    shares = weights if elect or not normalize else _normalized(weights)

    def fuse(old: Tensor, *new: Tensor) -> Tensor:
        changes = [keep(entry - old) for keep, entry in zip(sparse, new, strict=True)]
        change = _elected(changes, shares, shares, normalize=normalize) if elect else _sum(changes, shares)
        return _add(old, change.mul_(scale))

    return combine([base, *models], fuse)


def _sum(changes: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    total = torch.zeros_like(changes[0])
    for change, weight in zip(changes, weights, strict=True):
        total.add_(change, alpha=weight)
    return total


def _elected(changes: Sequence[Tensor], weights: Sequence[float], votes: Sequence[float], *, normalize: bool) -> Tensor:
    """The weighted sum of the changes whose sign, times their vote, is that of the sum of all votes (0 counts as positive); or their weighted mean."""
    positive = _sum(changes, votes) >= 0
    total, divisor = torch.zeros_like(changes[0]), torch.zeros_like(changes[0])
    for change, weight, vote in zip(changes, weights, votes, strict=True):
        agrees = torch.where(positive, change * vote > 0, change * vote < 0)
        total.add_(torch.where(agrees, change, 0.0), alpha=weight)
        divisor.add_(agrees, alpha=weight)
    return total.div_(torch.where(divisor == 0, 1.0, divisor)) if normalize else total


def _by_rank(base: Tensor, densities: Sequence[float], epsilons: Sequence[float], seeds: Sequence[int]) -> list[Sparsify]:
    columns = base.shape[-1] if base.ndim else 1
    return [drop_by_rank(density, epsilon, seed, columns) for density, epsilon, seed in zip(densities, epsilons, seeds, strict=True)]


def _variance(values: Sequence[Tensor]) -> Tensor:
    """Of each element, over the tensors."""
    mean = _sum(values, [1 / len(values)] * len(values))
    return _sum([(value - mean).square_() for value in values], [1 / len(values)] * len(values))
