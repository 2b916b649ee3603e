"""A merge in memory: its models stay open, and tensors come for one choice of parameters after the other, without a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from jp_adapt.merging.checkpoint import FolderWeights, NamedWeights, Weights
from jp_adapt.merging.lora import AdaptedWeights, Factors, coefficients
from jp_adapt.merging.merge import merge_tensor
from jp_adapt.merging.plan import EMBEDDING, HEAD, Job, Parent
from jp_adapt.merging.rows import aligned_rows
from jp_adapt.merging.settings import DENSITY_STEPS
from jp_adapt.merging.sparsify import UNKNOWN, Known, mask_seed, random_numbers, row_ranks, thresholds
from jp_adapt.merging.table import Method
from jp_adapt.merging.vocabulary import Alignment

Origin = tuple[Path, str]  # folder and name of a tensor on disk
KEPT_BYTES = 2 << 30  # of what a merge in memory keeps beside its models, in each process


class Kept:
    """Tensors that are made once and asked for again: the first ones are kept, up to a number of bytes."""

    def __init__(self, limit: int) -> None:
        self.left = limit
        self._tensors: dict[tuple[str, ...], Tensor] = {}

    def get(self, key: tuple[str, ...], size: int, make: Callable[[], Tensor]) -> Tensor | None:
        """The tensor of that key and of `size` bytes, which `make` makes; None where there is no room for it."""
        if key not in self._tensors and size <= self.left:
            self._tensors[key] = make()
            self.left -= self._tensors[key].nbytes
        return self._tensors.get(key)


class MemoryMerge:
    """The models of a merge, open.

    Adapters of one base merge in their own small space where the method adds whole matrices: the base's matrix and one product of the ranks side by side. Else
    each adapter's matrices are made once. Of TIES the thresholds of a difference are found once for all densities of the table, of DARE and DELLA the random
    numbers, of DELLA the ranks too. Beside the thresholds at most `kept_bytes` bytes are kept; the rest is made anew for each merge, the same to the bit.
    """

    def __init__(
        self,
        method: Method,
        parents: Mapping[str, Parent],
        *,
        base: str | None,
        seed: int,
        alignment: Alignment | None = None,
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        self.method, self.parents, self.base, self.seed, self.alignment = method, parents, base, seed, alignment
        self.kept = Kept(kept_bytes)
        for parent in parents.values():
            _keep_open(parent.weights)
        self._thresholds: dict[tuple[str, str], list[float]] = {}

    def tensors(self, jobs: Sequence[Job]) -> Iterator[tuple[str, Tensor]]:
        """Name and value of each tensor that the parameters of the jobs can change; the others are those of all models."""
        for job in self.changing(jobs):
            yield job.place.name, self.tensor(job)

    def changing(self, jobs: Sequence[Job]) -> list[Job]:
        """The jobs whose tensors their parameters can change."""
        return [job for job in jobs if not self._settled(job)]

    def tensor(self, job: Job) -> Tensor:
        """What a job makes."""
        return self._in_lora_space(job) if self._adds_lora(job) else self._merged(job)

    def _settled(self, job: Job) -> bool:
        origins = {_origin(self.parents[model].weights, name) for model, name in job.sources.items()}
        return len(origins) == 1 and None not in origins and (self.method.base or bool(job.shared.get("normalize")))

    def _adds_lora(self, job: Job) -> bool:
        if not self.method.in_lora_space:
            return False
        plain = {_origin(_under(self.parents[model].weights, name), name) for model, name in job.sources.items()}
        return len(plain) == 1 and None not in plain

    def _in_lora_space(self, job: Job) -> Tensor:
        share, factors = coefficients(job)
        models = [model for model in job.sources if not (self.method.base and model == self.base)]
        loras = [(_lora(self.parents[model].weights, job.sources[model]), factor) for model, factor in zip(models, factors, strict=True)]
        own = [(lora, factor) for lora, factor in loras if lora is not None]
        model, name = next(iter(job.sources.items()))
        plain = _under(self.parents[model].weights, name).read(name).to(torch.float32)
        up = torch.cat([lora.up.to(torch.float32) * (factor * lora.scale) for lora, factor in own], dim=1)
        return torch.addmm(plain, up, torch.cat([lora.down.to(torch.float32) for lora, _ in own]), beta=share).to(job.info.dtype)

    def _merged(self, job: Job) -> Tensor:
        tensors = {model: self._read(model, name) for model, name in job.sources.items()}
        if self.alignment is not None and job.place.name in (EMBEDDING, HEAD):
            tensors = aligned_rows(tensors, self.alignment, job.info.shape[0])
        return merge_tensor(self.method, job, tensors, base=self.base, seed=self.seed, known=self._known(job, tensors))

    def _read(self, model: str, name: str) -> Tensor:
        weights = self.parents[model].weights
        made = None if _origin(weights, name) else self.kept.get(("matrix", model, name), weights.tensors[name].bytes, lambda: weights.read(name))
        return weights.read(name) if made is None else made

    def _known(self, job: Job, tensors: Mapping[str, Tensor]) -> list[Known]:
        densities = job.per_model.get("density")
        if self.base is None or densities is None:
            return []
        base, models = tensors[self.base], [model for model in tensors if model != self.base]
        find = self._known_mask if self.method.masks else self._known_threshold
        return [find(job, model, base, tensors[model], density) if density < 1 else UNKNOWN for model, density in zip(models, densities, strict=True)]

    def _known_mask(self, job: Job, model: str, base: Tensor, own: Tensor, density: float) -> Known:
        name, count = job.sources[model], own.numel()
        draws = self.kept.get(("draws", model, name), 4 * count, lambda: random_numbers(mask_seed(self.seed, model, name), count))
        by_rank = "epsilon" in self.method.per_model
        return Known(draws=draws, ranks=self.kept.get(("ranks", model, job.place.name), 4 * count, lambda: row_ranks(base, own)) if by_rank else None)

    def _known_threshold(self, job: Job, model: str, base: Tensor, own: Tensor, density: float) -> Known:
        step = round(density * DENSITY_STEPS)
        if step / DENSITY_STEPS != density:
            return UNKNOWN
        key = model, job.place.name
        if key not in self._thresholds:
            self._thresholds[key] = thresholds(base, own, [number / DENSITY_STEPS for number in range(1, DENSITY_STEPS)])
        return Known(threshold=self._thresholds[key][step - 1])


def _under(weights: Weights, name: str) -> Weights:
    """The weights that a LoRA changes, where nothing else changes this tensor; else the weights themselves."""
    only_lora = isinstance(weights, AdaptedWeights) and name not in weights.replaced and name not in weights.new_rows
    lora = _lora(weights, name)
    return weights.base if isinstance(weights, AdaptedWeights) and only_lora and (lora is None or lora.norms is None) else weights


def _origin(weights: Weights, name: str) -> Origin | None:
    """Where a tensor lies on disk as it is; None where something changes it."""
    if isinstance(weights, AdaptedWeights):
        return None if weights.changes(name) else _origin(weights.base, name)
    if isinstance(weights, NamedWeights):
        return _origin(weights.weights, weights.names[name])
    return (weights.folder.resolve(), name) if isinstance(weights, FolderWeights) else None


def _keep_open(weights: Weights) -> None:
    if isinstance(weights, AdaptedWeights):
        _keep_open(weights.base)
    elif isinstance(weights, NamedWeights):
        _keep_open(weights.weights)
    elif isinstance(weights, FolderWeights):
        weights.keep_open()


def _lora(weights: Weights, name: str) -> Factors | None:
    return weights.factors.get(name) if isinstance(weights, AdaptedWeights) else None
