"""The search of an evolution: baselines, gradient descent from the best of them, CMA-ES from where that led."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from jp_adapt.commands.evolve_candidates import Candidates, Setup, pool, score
from jp_adapt.commands.evolve_gradients import slopes, slopes_here
from jp_adapt.commands.evolve_measures import SCORE
from jp_adapt.core.progress import progress, say
from jp_adapt.merging.descent import Descent, Slopes, lowest
from jp_adapt.merging.fitness import Fitness, Losses
from jp_adapt.merging.journal import Evaluation, Journal
from jp_adapt.merging.search import Gene, Score, Search, SearchResult, named
from jp_adapt.report.evolution import ModelKind

Result = TypeVar("Result")


@dataclass(frozen=True)
class Searched:
    """What was searched, and what came of it.

    Attributes:
        steps: of gradient descent; none where there was none.
        baseline: name of what the search started from.
    """

    search: Search
    steps: list[Evaluation]
    result: SearchResult
    baseline: str
    elapsed_s: float

    @property
    def evaluations(self) -> list[Evaluation]:
        return [*self.steps, *self.result.evaluations]

    def on_the_way(self) -> list[tuple[str, ModelKind, Mapping[str, float]]]:
        """What was found, in the order in which it was: name, kind, values of the genes."""
        points: list[tuple[str, ModelKind, Mapping[str, float]]] = []
        if self.steps:
            points.append(("gradient descent", "gradient", {gene.name: gene.start for gene in self.search.genes}))
        if self.result.evaluations[-1].generation:
            points.append(("mean of the last generation", "mean", self.result.mean))
        return [*points, ("evolved", "evolved", self.result.best_genome)]


def search_weights(setup: Setup, work: Path, *, name: str, seed: int) -> tuple[Searched, Candidates]:
    """Search with the journals in `work`; `name` stands in the progress. Comes back with candidates of this process.

    Raises:
        RunFolderError: `work` holds another search.
    """
    started, merge = time.monotonic(), setup.merge
    with pool(setup, merge.processes) if merge.processes > 1 else nullcontext() as executor:
        searcher = _Searcher(setup, work, name, executor, None if executor else Candidates(setup))
        baseline, known = searcher.best_baseline()
        genes = setup.genome.started(setup.genome.baselines[baseline])
        steps = searcher.descend(genes, known.losses)
        if steps:
            genes = setup.genome.started(named(genes, lowest(steps).genome))
        objectives = [measure.objective for measure in setup.measures]
        search = Search(genes, objectives, seed=seed, population=merge.population, sigma=merge.sigma, rounds=merge.rounds, reference=known.losses)
        result = searcher.search(search)
    searched = Searched(search, steps, result, baseline, time.monotonic() - started)
    return searched, searcher.candidates or Candidates(setup)


@dataclass(frozen=True)
class _Searcher:
    """Evaluates candidates by those of this process, or with an executor by those of its processes."""

    setup: Setup
    work: Path
    name: str
    executor: Executor | None
    candidates: Candidates | None

    @property
    def score(self) -> Score:
        return self.candidates or score

    @property
    def slopes(self) -> Callable[..., tuple[list[float], dict[str, float]]]:
        return partial(slopes, self.candidates) if self.candidates else slopes_here

    def best_baseline(self) -> tuple[str, Evaluation]:
        """The baseline with the lowest fitness, guards aside. Its losses are those of all items in their order."""
        measures, baselines = self.setup.measures, self.setup.genome.baselines
        asked = {measure.name: [measure.settings.weight, measure.identity] for measure in measures}
        book = Journal(self.work / "baselines.jsonl", {"baselines": baselines, "measures": asked, "merge": self.setup.identity})
        items = {measure.name: measure.places for measure in measures}
        fitness = Fitness([measure.objective for measure in measures], {})
        new = {index: name for index, name in enumerate(baselines) if (0, index) not in book.evaluations}
        started = time.monotonic()
        for (index, name), losses in zip(new.items(), self._all(self.score, [(baselines[name], items) for name in new.values()]), strict=True):
            own = {measure: [float(loss) for loss in values] for measure, values in losses.items()}
            book.add(Evaluation(0, index, [*baselines[name].values()], own, fitness(own), True, round(time.monotonic() - started, 3)))
            say(f"  {name}: fitness {fitness(own):.4f}")
        best = lowest([book.evaluations[0, index] for index in range(len(baselines))])
        return list(baselines)[best.index], best

    def descend(self, genes: Sequence[Gene], reference: Losses) -> list[Evaluation]:
        """Gradient descent by the slopes of the measures in bits; none where the recipe asks for none. The fitness is that of the search."""
        settings = self.setup.merge.gradient
        if settings is None:
            return []
        fitness = Fitness([measure.objective for measure in self.setup.measures], reference)
        descent, journal = Descent(genes, fitness, settings.steps, settings.radius), self.work / "gradient.jsonl"
        known = len(Journal(journal, descent.identity()).evaluations)
        with progress(f"{self.name}: gradient descent", settings.steps + 1 - known) as advance:
            return descent.run(self._differentiate, journal, lambda step: advance(step.index + 1 - known, f"fitness {step.fitness:.4f}"))

    def _differentiate(self, values: Mapping[str, float]) -> tuple[Losses, Slopes]:
        """Each measure in one process, whatever their number, so that the sums are the same. A score has no slopes."""
        names = [measure.name for measure in self.setup.measures if measure.settings.metric != SCORE]
        by_name = dict(zip(names, self._all(self.slopes, [(values, name) for name in names]), strict=True))
        scored = {measure.name: measure.places for measure in self.setup.measures if measure.name not in by_name}
        losses = next(self._all(self.score, [(values, scored)])) if scored else {}
        return {name: own for name, (own, _) in by_name.items()} | dict(losses), {name: own for name, (_, own) in by_name.items()}

    def _all(self, function: Callable[..., Result], calls: Sequence[tuple[object, ...]]) -> Iterator[Result]:
        """The results of calls, which are made one after the other, or all at once where there are processes for it."""
        if self.executor is None:
            return (function(*call) for call in calls)
        waiting = [self.executor.submit(function, *call) for call in calls]
        return (future.result() for future in waiting)

    def search(self, search: Search) -> SearchResult:
        """CMA-ES."""
        journal, generations = self.work / "journal.jsonl", self.setup.merge.generations
        known = len(Journal(journal, search.identity()).evaluations)
        if known:
            say(f"  {known} candidates are known from {journal}")
        done = 0
        with progress(f"{self.name}: candidates", 1 + generations * search.population - known) as advance:

            def told(evaluation: Evaluation, best: Evaluation) -> None:
                nonlocal done
                done += 1
                advance(done, f"generation {evaluation.generation}, best fitness {best.fitness:.4f}")

            return search.run(self.score, journal, generations, executor=self.executor, told=told)
