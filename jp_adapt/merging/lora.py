"""LoRA adapters as models, and adapters of one base merged without it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from jp_adapt.core.errors import InputError
from jp_adapt.merging.checkpoint import TensorInfo, Weights
from jp_adapt.merging.plan import Job


@dataclass(frozen=True)
class Factors:
    """LoRA (Hu et al. 2106.09685) of one matrix [O, I]: it adds scale x up [O, R] @ down [R, I].

    `norms` [O]: the rows of the sum get these norms (DoRA, Liu et al. 2402.09353).
    """

    down: Tensor
    up: Tensor
    scale: float
    norms: Tensor | None = None


class AdaptedWeights:
    """The weights of a base with an adapter, each matrix made when it is read, in float32.

    Args:
        factors: name of the base's matrix -> its LoRA.
        replaced: name -> a tensor that stands in place of the base's.
        new_rows: name of embedding or head -> rows behind the base's.
    """

    def __init__(self, base: Weights, factors: Mapping[str, Factors], replaced: Mapping[str, Tensor], new_rows: Mapping[str, Tensor]) -> None:
        self.base, self.factors, self.replaced, self.new_rows = base, factors, replaced, new_rows
        self.tensors = {name: self._info(name, info) for name, info in base.tensors.items()}

    def _info(self, name: str, info: TensorInfo) -> TensorInfo:
        rows = info.shape[0] + len(self.new_rows[name]) if name in self.new_rows else info.shape[0]
        return TensorInfo((rows, *info.shape[1:]), torch.float32 if self.changes(name) else info.dtype)

    def changes(self, name: str) -> bool:
        """Whether the tensor differs from the base's."""
        return name in self.factors or name in self.replaced or name in self.new_rows

    def read(self, name: str) -> Tensor:
        """The tensor `name` as it computes with the adapter attached."""
        tensor = self.replaced[name] if name in self.replaced else self.base.read(name)
        if name in self.factors:
            lora = self.factors[name]
            tensor = torch.addmm(tensor.to(torch.float32), lora.up.to(torch.float32), lora.down.to(torch.float32), alpha=lora.scale)
            if lora.norms is not None:
                tensor *= (lora.norms.to(torch.float32) / tensor.norm(dim=1))[:, None]
        if name in self.new_rows:
            tensor = torch.cat([tensor.to(torch.float32), self.new_rows[name].to(torch.float32)])
        return tensor.to(self.tensors[name].dtype)


def coefficients(job: Job) -> tuple[float, list[float]]:
    """Of a merge that adds whole matrices: the factor of the base's own matrix, and that of each adapter's update. InputError where there is no mean."""
    weights, total = job.per_model["weight"], math.fsum(job.per_model["weight"])
    if job.shared["normalize"]:
        if total == 0:
            raise InputError(f"{job.place.name}: the weights add up to 0, so there is no mean")
        weights, total = [weight / total for weight in weights], 1.0
    return (1.0 if "lambda" in job.shared else total), [job.shared.get("lambda", 1.0) * weight for weight in weights]


def joined_factors(adapters: Sequence[Mapping[str, Factors]], weights: Sequence[Mapping[str, float]], ranks: Sequence[int]) -> dict[str, Factors]:
    """The weighted sum of the adapters' updates as one LoRA, exact: ranks are put side by side, [w1 s1 B1 | w2 s2 B2] [A1; A2].

    Args:
        adapters: name of a matrix -> its LoRA; a matrix may be missing in some.
        weights: name of a matrix -> the adapter's weight there.
        ranks: of the adapters. The result has their sum everywhere, so that one number describes it; ranks that a matrix does not use are 0.
    """
    names = dict.fromkeys(name for adapter in adapters for name in adapter)
    return {name: _joined([adapter.get(name) for adapter in adapters], [entry.get(name, 0.0) for entry in weights], sum(ranks)) for name in names}


def _joined(factors: Iterable[Factors | None], weights: Iterable[float], rank: int) -> Factors:
    parts = [(entry, weight) for entry, weight in zip(factors, weights, strict=True) if entry is not None]
    outputs, inputs = parts[0][0].up.shape[0], parts[0][0].down.shape[1]
    down, up = torch.zeros(rank, inputs), torch.zeros(outputs, rank)
    start = 0
    for entry, weight in parts:
        end = start + entry.down.shape[0]
        share = math.sqrt(abs(weight * entry.scale))  # on both sides, so that neither grows out of proportion
        down[start:end] = entry.down.to(torch.float32) * share
        up[:, start:end] = entry.up.to(torch.float32) * math.copysign(share, weight * entry.scale)
        start = end
    return Factors(down, up, 1.0)
