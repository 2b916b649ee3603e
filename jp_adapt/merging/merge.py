"""A planned merge, done tensor by tensor."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

from jp_adapt.core.errors import GateError, JpAdaptError
from jp_adapt.merging import methods
from jp_adapt.merging.plan import EMBEDDING, HEAD, Job, Parent
from jp_adapt.merging.rows import aligned_rows
from jp_adapt.merging.sparsify import Known, mask_seed
from jp_adapt.merging.table import Method
from jp_adapt.merging.vocabulary import Alignment

ARGUMENTS = {"weight": "weights", "density": "densities", "epsilon": "epsilons", "scale": "scales", "lambda": "scale"}  # a recipe's word -> the function's


def merge_tensor(method: Method, job: Job, tensors: Mapping[str, Tensor], *, base: str | None, seed: int, known: Sequence[Known] = ()) -> Tensor:
    """What the method makes of one tensor of each model, all of one shape, in the type that the job says.

    `known`: of each model but the base, what is known of its difference already, for methods that drop elements.

    Raises:
        GateError: a value of the result is not finite.
    """
    others = [model for model in tensors if not (method.base and model == base)]
    arguments: dict[str, object] = {ARGUMENTS.get(name, name): value for name, value in (*job.per_model.items(), *job.shared.items())}
    if method.masks:
        arguments["seeds"] = [mask_seed(seed, model, job.sources[model]) for model in others]
    if known:
        arguments["known"] = known
    leading = [tensors[base]] if method.base and base is not None else []
    function: Callable[..., Tensor] = getattr(methods, method.name)
    try:
        result = function(*leading, [tensors[model] for model in others], **arguments, dtype=job.info.dtype)
    except JpAdaptError as error:
        raise type(error)(f"{job.place.name}: {error}") from error
    if result.numel() and not all(math.isfinite(value) for value in torch.aminmax(result)):  # both are NaN where a value is; 20 times as fast as isfinite
        raise GateError(f"{job.place.name}: values that are not finite came out, in {job.info.dtype}; look at the models' own, or write a wider type")
    return result


def merged_tensors(
    method: Method, jobs: Sequence[Job], parents: Mapping[str, Parent], *, base: str | None, seed: int, alignment: Alignment | None = None
) -> Iterator[Tensor]:
    """The tensors of the merged model, one for each job; those of one name are held at a time."""
    for job in jobs:
        tensors = {model: parents[model].weights.read(name) for model, name in job.sources.items()}
        if alignment is not None and job.place.name in (EMBEDDING, HEAD):
            tensors = aligned_rows(tensors, alignment, job.info.shape[0])
        yield merge_tensor(method, job, tensors, base=base, seed=seed)
