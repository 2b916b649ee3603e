"""Search over a genome by CMA-ES, with any callable as the score. It knows nothing of models.

Hansen and Ostermeier 2001, as the package `cmaes` has it; Akiba et al. (2403.13187) search merges so. Every evaluation goes into a journal before the next
one begins. A search that was stopped asks for the same genomes again and takes what it knows from there, so that a kill changes nothing.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future, as_completed
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
from cmaes import CMA

from jp_adapt.core.errors import JpAdaptError, RunFolderError, UsageError
from jp_adapt.core.hashes import sha256_json
from jp_adapt.merging.fitness import GUARD_ERRORS, GUARD_PENALTY, Fitness, Losses, Objective
from jp_adapt.merging.journal import Evaluation, Journal

Items = Mapping[str, Sequence[int]]  # objective -> which of its items are asked
Score = Callable[[Mapping[str, float], Items], Losses]  # genome by gene, items -> losses. The same arguments must give the same losses

GIVE_UP_ERRORS = 2.0  # standard errors by which a candidate must be worse than the best one on the same items, or a guard over its limit, to be given up
SAME_GENOME = 1e-9  # by which a replayed genome may differ: another machine rounds otherwise


@dataclass(frozen=True)
class Gene:
    """A number that is searched for, between two bounds."""

    name: str
    low: float
    high: float
    start: float


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        best: of the candidates whose items were all asked, the fittest; the start is one of them.
        mean: the mean of the last distribution, as a genome: often better on other items than the best one, which was chosen for these.
        evaluations: all, in the order of asking.
    """

    best: Evaluation
    best_genome: dict[str, float]
    mean: dict[str, float]
    evaluations: list[Evaluation]


def split_items(count: int, heldout_share: float, seed: int) -> tuple[list[int], list[int]]:
    """Numbers of the items that the search may ask, and of those that it never does. UsageError where one of the two would be empty."""
    order = list(range(count))
    random.Random(seed).shuffle(order)
    kept = round(heldout_share * count)
    if not 0 < kept < count:
        raise UsageError(f"of {count} items {kept} would be held out; some must be, and some not (share {heldout_share:g})")
    return sorted(order[kept:]), sorted(order[:kept])


def named(genes: Sequence[Gene], genome: Sequence[float]) -> dict[str, float]:
    """Values of the genes, of numbers between 0 and 1."""
    return {gene.name: gene.low + (gene.high - gene.low) * float(value) for gene, value in zip(genes, genome, strict=True)}


class Search:
    """A search over `genes` for a low weighted sum of the mean losses of `objectives`.

    Args:
        seed: of the optimizer, and of the order in which items are asked.
        population: candidates of a generation; 4 + 3 ln n of n genes by default.
        sigma: standard deviation at the start, as a share of each gene's range.
        rounds: in how many parts a candidate's items are asked. After each but the last it is given up where it is clearly worse than the best candidate of
            the generations before on the same items, or breaks a guard, and its fitness is estimated from them; 1: all are asked at once.
        reference: the loss of each item, in their own order, that guards are held against; by default the start's.

    Raises:
        UsageError: fewer than two genes, a start out of bounds, no objective with a weight, or fewer items than rounds.
    """

    def __init__(
        self,
        genes: Sequence[Gene],
        objectives: Sequence[Objective],
        *,
        seed: int = 0,
        population: int | None = None,
        sigma: float = 1 / 6,
        rounds: int = 1,
        reference: Losses | None = None,
    ) -> None:
        self.genes, self.objectives = list(genes), list(objectives)
        self.seed, self.sigma, self.rounds = seed, sigma, rounds
        self._check()
        self.population = population or 4 + math.floor(3 * math.log(len(self.genes)))
        self.order = {objective.name: self._order(objective) for objective in self.objectives}
        self.reference: Losses = {name: [reference[name][item] for item in order] for name, order in self.order.items()} if reference else {}

    def _check(self) -> None:
        if len(self.genes) < 2:
            raise UsageError(f"{len(self.genes)} genes: CMA-ES searches over at least two numbers")
        for gene in self.genes:
            if not gene.low <= gene.start <= gene.high or not gene.low < gene.high:
                raise UsageError(f"gene '{gene.name}': it starts at {gene.start:g}, and its bounds are {gene.low:g} and {gene.high:g}")
        if not any(objective.weight for objective in self.objectives):
            raise UsageError("no objective has a weight, so there is nothing to search for")
        few = [objective for objective in self.objectives if objective.items < self.rounds]
        if few:
            raise UsageError(f"'{few[0].name}' has {few[0].items} items, which cannot be asked in {self.rounds} rounds")

    def _order(self, objective: Objective) -> list[int]:
        order = list(range(objective.items))
        random.Random(f"{self.seed} {objective.name}").shuffle(order)
        return order

    def identity(self) -> dict[str, object]:
        """What decides which genomes are asked for."""
        return {
            "genes": [asdict(gene) for gene in self.genes],
            "objectives": [asdict(objective) for objective in self.objectives],
            "seed": self.seed,
            "population": self.population,
            "sigma": self.sigma,
            "rounds": self.rounds,
            "guards": [GUARD_PENALTY, GUARD_ERRORS],
        } | ({"reference": sha256_json(self.reference)} if self.reference else {})

    def named(self, genome: Sequence[float]) -> dict[str, float]:
        """As `named`, of the genes of this search."""
        return named(self.genes, genome)

    def run(
        self,
        score: Score,
        journal: Path,
        generations: int,
        *,
        executor: Executor | None = None,
        told: Callable[[Evaluation, Evaluation], None] | None = None,
    ) -> SearchResult:
        """Search, or continue with the search of `journal`, until `generations` are evaluated.

        Args:
            executor: evaluates the candidates of a generation at the same time; then `score` must go to its processes. The result is the same.
            told: called after each evaluation with it and with the best one so far.

        Raises:
            RunFolderError: the journal is of another search, or its genomes are not those that this search asks for.
        """
        book = Journal(journal, self.identity())
        optimizer = CMA(
            mean=np.array([(gene.start - gene.low) / (gene.high - gene.low) for gene in self.genes]),
            sigma=self.sigma,
            bounds=np.array([[0.0, 1.0]] * len(self.genes)),
            seed=self.seed,
            population_size=self.population,
        )
        race = _Race(self, score, book, told)
        race.generation(0, [[float(value) for value in optimizer.mean]], executor)
        for generation in range(1, generations + 1):
            asked = [[float(value) for value in optimizer.ask()] for _ in range(self.population)]
            evaluated = race.generation(generation, asked, executor)
            optimizer.tell([(np.array(entry.genome), entry.fitness) for entry in evaluated])
        return SearchResult(race.best, self.named(race.best.genome), self.named(np.clip(optimizer.mean, 0.0, 1.0)), list(race.evaluations))


class _Race:
    """Evaluates candidates generation by generation: what the journal knows is taken from there, and what is clearly worse than the best is given up."""

    def __init__(self, search: Search, score: Score, journal: Journal, told: Callable[[Evaluation, Evaluation], None] | None) -> None:
        self.search, self.score, self.journal, self.told = search, score, journal, told
        self.evaluations: list[Evaluation] = []
        self.fitness = Fitness(search.objectives, search.reference)
        self._best: Evaluation | None = None
        self._told_best: Evaluation | None = None

    @property
    def best(self) -> Evaluation:
        assert self._best is not None
        return self._best

    def generation(self, number: int, genomes: Sequence[list[float]], executor: Executor | None) -> list[Evaluation]:
        """Evaluate candidates; the best one that they are compared with is that of the generations before, so their order makes no difference."""
        incumbent = self._best
        done: dict[int, Evaluation] = {}
        waiting: dict[Future[Evaluation], int] = {}
        for index, genome in enumerate(genomes):
            known = self.journal.evaluations.get((number, index))
            if known is not None:
                done[index] = self._same(known, genome)
                continue
            work = _Work(self.search, self.score, number, index, genome, incumbent, self.fitness)
            if executor is None:
                done[index] = self._add(work())
            else:
                waiting[executor.submit(work)] = index
        for future in as_completed(waiting):
            done[waiting[future]] = self._add(future.result())
        evaluated = [done[index] for index in range(len(genomes))]
        if number == 0 and not self.search.reference:
            self.fitness = Fitness(self.search.objectives, evaluated[0].losses)
        self.evaluations += evaluated
        self._best = min([entry for entry in (incumbent, *evaluated) if entry is not None and entry.whole], key=lambda entry: entry.fitness)
        return evaluated

    def _same(self, known: Evaluation, genome: Sequence[float]) -> Evaluation:
        if len(known.genome) != len(genome) or not np.allclose(known.genome, genome, rtol=0, atol=SAME_GENOME):
            raise RunFolderError(
                f"{self.journal.path}: candidate {known.index} of generation {known.generation} is another one than this search asks for; "
                f"continue with the cmaes that began it (here: {metadata.version('cmaes')}), or begin anew with another journal"
            )
        return known

    def _add(self, evaluation: Evaluation) -> Evaluation:
        self.journal.add(evaluation)
        whole = [entry for entry in (self._best, self._told_best, evaluation) if entry is not None and entry.whole]
        self._told_best = min(whole, key=lambda entry: entry.fitness, default=None)
        if self.told is not None:
            self.told(evaluation, self._told_best or evaluation)
        return evaluation


@dataclass(frozen=True)
class _Work:
    """The evaluation of one candidate; it can be sent to another process."""

    search: Search
    score: Score
    generation: int
    index: int
    genome: list[float]
    incumbent: Evaluation | None
    fitness: Fitness

    def __call__(self) -> Evaluation:
        """Ask the items in rounds; stop where the candidate is clearly worse than the best one on those that were asked."""
        started = time.monotonic()
        values = self.search.named(self.genome)
        losses: dict[str, list[float]] = {objective.name: [] for objective in self.search.objectives}
        for number in range(1, self.search.rounds + 1):
            items = {name: order[len(losses[name]) : len(order) * number // self.search.rounds] for name, order in self.search.order.items()}
            for name, new in self.score(values, items).items():
                losses[name] += [float(loss) for loss in new]
            self._check(losses, number)
            whole = number == self.search.rounds
            if whole or self._hopeless(losses):
                break
        fitness = self.fitness(losses) if whole else self._estimate(losses)
        return Evaluation(self.generation, self.index, self.genome, losses, fitness, whole, round(time.monotonic() - started, 3))

    def _check(self, losses: Losses, number: int) -> None:
        for name, order in self.search.order.items():
            wanted = len(order) * number // self.search.rounds
            if len(losses[name]) != wanted or not all(map(math.isfinite, losses[name])):
                raise JpAdaptError(f"the score gave {len(losses[name])} losses of '{name}' where {wanted} finite ones were asked (genome {self.genome})")

    def _differences(self, losses: Losses) -> tuple[float, float]:
        """Mean and standard error of the weighted difference to the best candidate, on the items that both were asked."""
        assert self.incumbent is not None
        mean, variance = 0.0, 0.0
        for objective in self.search.objectives:
            pairs = zip(losses[objective.name], self.incumbent.losses[objective.name], strict=False)
            differences = np.array([own - best for own, best in pairs])
            if objective.weight and len(differences) > 1:
                mean += objective.weight * float(differences.mean())
                variance += objective.weight**2 * float(differences.var(ddof=1)) / len(differences)
        return mean, math.sqrt(variance)

    def _hopeless(self, losses: Losses) -> bool:
        if self.incumbent is None:
            return False
        mean, error = self._differences(losses)
        broken = any(self.fitness.excess(objective, losses, -GIVE_UP_ERRORS) > 0 for objective in self.search.objectives)
        return broken or (mean > GIVE_UP_ERRORS * error and mean > 0)

    def _estimate(self, losses: Losses) -> float:
        assert self.incumbent is not None
        return self.incumbent.fitness + self._differences(losses)[0] + self.fitness.penalty(losses)
