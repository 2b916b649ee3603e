"""By how much the losses of a merge change with each number of its genome: the gradient of its weights, times what each number does to them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from jp_adapt.commands.evolve_candidates import Candidates, of_this_process
from jp_adapt.inference.trie import Request, cut_in_windows
from jp_adapt.merging.genome import Genome, Values
from jp_adapt.merging.plan import Job
from jp_adapt.model.causal import CausalModel
from jp_adapt.training.loss import linear_cross_entropy

BATCH_TOKENS = 1024  # read at once, with all activations in memory
STEP = 0.05  # by which a number moves to see what it does. Most merges are linear in it; that of TIES is so but for elections that turn


def slopes_here(values: Mapping[str, float], name: str) -> tuple[list[float], dict[str, float]]:
    """`slopes` of the candidates of this process of the pool."""
    return slopes(of_this_process(), values, name)


def slopes(candidates: Candidates, values: Mapping[str, float], name: str) -> tuple[list[float], dict[str, float]]:
    """The losses of all items that the search asks of a measure, and by how much their mean grows with each number of the genome that has a gradient.

    It takes the memory of the model's weights once more, for their gradients.
    """
    candidates.become(values)
    values = _unrounded(candidates.setup.genome, values)
    jobs = candidates.memory.changing(candidates.jobs(values))
    parameters = [candidates.parameters[job.place.name] for job in jobs]
    for parameter in parameters:
        parameter.requires_grad_(True)
    try:
        with candidates.model.backend.looking(), candidates.all_layers():
            losses = _backward(candidates, name)
        with torch.no_grad():
            return losses, _by_gene(candidates, values, jobs)
    finally:
        for parameter in parameters:
            parameter.requires_grad_(False)
            parameter.grad = None


def _backward(candidates: Candidates, name: str) -> list[float]:
    """The losses of a measure's items; the gradients of their mean are in the parameters afterwards."""
    meter, model = candidates.meter, candidates.model.model
    measure = meter.measures[name]
    requests = [meter.request(name, item) for item in measure.dev]
    owners = [(owner, window) for owner, request in enumerate(requests) for window in cut_in_windows(request, candidates.model.backend.max_tokens)]
    per_nat = measure.losses(measure.dev, [1 / math.log(2)], ())[0]  # a loss is proportional to its bits
    losses = [0.0] * len(requests)
    for batch in _batches(owners):
        nats = _nats(model, [window for _, window in batch])
        (nats.sum() * (per_nat / len(requests))).backward()  # type: ignore[no-untyped-call]
        for (owner, _), value in zip(batch, nats.tolist(), strict=True):
            losses[owner] += per_nat * value
    return losses


def _batches(owners: Sequence[tuple[int, Request]]) -> Iterator[list[tuple[int, Request]]]:
    batch: list[tuple[int, Request]] = []
    tokens = 0
    for owner, window in owners:
        if batch and tokens + len(window.ids) > BATCH_TOKENS:
            yield batch
            batch, tokens = [], 0
        batch.append((owner, window))
        tokens += len(window.ids)
    if batch:
        yield batch


def _nats(model: CausalModel, windows: Sequence[Request]) -> Tensor:
    """-ln p of the scored ids of each window, packed into one row."""
    device = model.base_head.device
    ids = torch.tensor([[token for window in windows for token in window.ids]], device=device)
    positions = torch.tensor([[place for window in windows for place in range(len(window.ids))]], device=device)
    hidden = model(ids, positions)[0]
    nats, start = [], 0
    for window in windows:
        scored = slice(start + window.first - 1, start + len(window.ids) - 1)
        targets = model.order.columns(ids[0, start + window.first : start + len(window.ids)])
        nats.append(linear_cross_entropy(hidden[scored], model.base_head, model.new_head, targets))
        start += len(window.ids)
    return torch.stack(nats)


def _by_gene(candidates: Candidates, values: Mapping[str, float], jobs: Sequence[Job]) -> dict[str, float]:
    genome, memory = candidates.setup.genome, candidates.memory
    moved = {model: {job.place.name: job for job in candidates.jobs(_moved(candidates, values, model))} for model in genome.models}
    totals = {entry.gene.name: 0.0 for entry in genome.genes if entry.parameter == genome.steep}
    for job in jobs:
        gradient = candidates.parameters[job.place.name].grad
        if gradient is None:
            continue
        wide = gradient.to("cpu", torch.float32)
        here = memory.tensor(_exact(job))
        for model, others in moved.items():
            if model not in job.sources:
                continue
            change = memory.tensor(_exact(others[job.place.name])).sub_(here)
            totals[genome.gene_at(model, genome.steep, job.place)] += change.mul_(wide).sum(dtype=torch.float64).item() / STEP
    return totals


def _unrounded(genome: Genome, values: Values) -> dict[str, float]:
    """What is merged with, but for the numbers that have a gradient: those as they are."""
    steep = {entry.gene.name for entry in genome.genes if entry.parameter == genome.steep}
    return genome.written(values) | {name: values[name] for name in steep}


def _moved(candidates: Candidates, values: Mapping[str, float], model: str) -> dict[str, float]:
    genome = candidates.setup.genome
    own = {entry.gene.name for entry in genome.genes if (entry.model, entry.parameter) == (model, genome.steep)}
    return {name: value + STEP if name in own else value for name, value in values.items()}


def _exact(job: Job) -> Job:
    """The same in float32, in which a small step shows."""
    return replace(job, info=replace(job.info, dtype=torch.float32))
