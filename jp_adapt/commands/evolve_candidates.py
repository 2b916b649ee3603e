"""The candidates of an evolution: one model in memory that becomes each of them, in this process or in several."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from jp_adapt.commands.evolve_measures import MeasuredItems, Meter, dev_items
from jp_adapt.commands.merge_parents import open_models
from jp_adapt.commands.merge_plan import plan_merge
from jp_adapt.inference.model_folder import load_model
from jp_adapt.merging.fitness import Losses
from jp_adapt.merging.genome import Genome
from jp_adapt.merging.memory import MemoryMerge
from jp_adapt.merging.plan import Job
from jp_adapt.merging.search import Items
from jp_adapt.merging.table import METHODS
from jp_adapt.recipe.evolve import EvolveSettings
from jp_adapt.recipe.merge import ModelSettings

_here: list[Candidates] = []  # of a process of the pool, its one


@dataclass(frozen=True)
class Setup:
    """What a process needs to evaluate candidates.

    Attributes:
        folders: of each model and of the adapter on it.
        start: a folder of the same merge with other weights, whose model is written over in memory.
        start_settings: the settings that it was merged with.
        identity: hash of what is merged; journals of another one are refused.
    """

    folders: Mapping[str, tuple[Path, Path | None]]
    merge: EvolveSettings
    start: Path
    start_settings: Mapping[str, ModelSettings]
    genome: Genome
    measures: Sequence[MeasuredItems]
    precision: str
    identity: str = ""


class Candidates:
    """The merged model in memory."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        models = open_models(setup.folders)
        self.plan = plan_merge(models, setup.merge, setup.start_settings)
        self.memory = MemoryMerge(METHODS[setup.merge.method], self.plan.parents, base=setup.merge.base, seed=setup.merge.seed, alignment=self.plan.alignment)
        self.model = load_model(setup.start, setup.precision)
        self.meter = Meter(self.model, setup.measures)
        self.parameters = dict(self.model.model.base.named_parameters())
        self.layers = list(self.model.model.body.layers)
        self.fixed = {name: entry.given() for name, entry in setup.start_settings.items()}
        self.layers_in: list[int] | None = None  # of the merge of all layers, those that are not left out
        self._is: dict[str, float] | None = None
        self.merging_s = self.measuring_s = 0.0

    def become(self, values: Mapping[str, float]) -> None:
        """Make the model that of a genome, in place."""
        if self._is == values:
            return
        started, self._is = time.monotonic(), None
        written = self.setup.genome.written(values)
        with torch.no_grad():
            for name, tensor in self.memory.tensors(self.jobs(written)):
                self.parameters[name].copy_(tensor)
        self.layers_in = self.setup.genome.layers_in(written)
        self._read(self.layers_in)
        self._is = dict(values)
        self.merging_s += time.monotonic() - started

    def jobs(self, values: Mapping[str, float]) -> list[Job]:
        """The merge of a genome, tensor by tensor; without those that are the same for all."""
        genome = self.setup.genome
        genes = genome.settings(values)
        jobs = self.plan.with_settings(self.setup.merge, {name: own | genes.get(name, {}) for name, own in self.fixed.items()})
        return [job for job in jobs if genome.changes(job.place)]

    def _read(self, layers: Sequence[int] | None) -> None:
        """Let the model read by these of its layers; None: by all."""
        self.model.model.body.layers = nn.ModuleList(self.layers if layers is None else [self.layers[layer] for layer in layers])

    @contextmanager
    def all_layers(self) -> Iterator[None]:
        """The model reads by all its layers, those too that add nothing: they have gradients."""
        self._read(None)
        try:
            yield
        finally:
            self._read(self.layers_in)

    def __call__(self, values: Mapping[str, float], items: Items) -> Losses:
        """The losses of a genome on items of the dev split, by their places in it."""
        self.become(values)
        started = time.monotonic()
        losses = self.meter.losses(dev_items(self.setup.measures, items))
        self.measuring_s += time.monotonic() - started
        return losses


def score(values: Mapping[str, float], items: Items) -> Losses:
    """The losses of a genome by the candidates of this process of the pool."""
    return of_this_process()(values, items)


def of_this_process() -> Candidates:
    """The candidates of this process of the pool."""
    return _here[0]


@contextmanager
def pool(setup: Setup, processes: int) -> Iterator[Executor]:
    """Processes that evaluate candidates by `score`, each with a share of the processor's threads, and with a GPU where there is one."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        processes, mp_context=context, initializer=_begin, initargs=(setup, context.Value("i", 0), max(1, torch.get_num_threads() // processes))
    ) as executor:
        try:
            yield executor
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise


def _begin(setup: Setup, numbers: Any, threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the parent, which ends this
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with numbers.get_lock():
        os.environ["LOCAL_RANK"], numbers.value = str(numbers.value), numbers.value + 1
    torch.set_num_threads(threads)
    _here.append(Candidates(setup))


def _end_with_parent() -> None:
    """A pool's process would wait for work forever where its parent was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
