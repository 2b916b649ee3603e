"""Descent over a genome by slopes: all numbers move at once by what the fitness says of each. It knows nothing of models.

Coefficients of a merge are learned by gradients in AdaMerging (Yang et al., ICLR 2024, 2310.02575), from the entropy of answers; here it is any fitness, and
guards bound it. A guard may be so steep that a step which the fitness alone would take breaks it. So each step is the best of a model of the fitness within
a radius, penalties of guards included: sequential quadratic programming with an exact penalty in a trust region (Fletcher, Practical Methods of Optimization,
1987, section 14.4). How slopes change is learned from every evaluation, also from worse ones (SR1: Conn, Gould and Toint, Mathematical Programming 50, 1991).

Each evaluation is in a journal with its slopes before the next one begins, so that a kill changes nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from jp_adapt.core.errors import JpAdaptError
from jp_adapt.core.hashes import sha256_json
from jp_adapt.merging.fitness import Fitness, Losses
from jp_adapt.merging.journal import Evaluation, Journal
from jp_adapt.merging.local_model import LocalModel
from jp_adapt.merging.search import Gene, named

Slopes = Mapping[str, Mapping[str, float]]  # objective -> gene -> by how much the mean loss grows with it
Differentiate = Callable[[Mapping[str, float]], tuple[Losses, Slopes]]  # values of the genes -> losses of all items, and their slopes

WELL, BADLY = 0.75, 0.25  # share of the promised gain from which on a radius is doubled, and below which it is halved
SETTLED = 1e-7  # of the fitness: a step that promises less is none


@dataclass(frozen=True)
class Descent:
    """Steps from where the genes start towards a low fitness.

    Attributes:
        steps: evaluations after the start, at most.
        radius: of the first step: the root mean square of what the numbers move, as a share of their ranges. It grows and shrinks with what steps bring.
    """

    genes: Sequence[Gene]
    fitness: Fitness
    steps: int
    radius: float

    def identity(self) -> dict[str, object]:
        """What decides which genomes are asked for."""
        return {
            "genes": [asdict(gene) for gene in self.genes],
            "objectives": [asdict(objective) for objective in self.fitness.objectives],
            "reference": sha256_json(self.fitness.reference),
            "steps": self.steps,
            "radius": self.radius,
        }

    def run(self, differentiate: Differentiate, journal: Path, told: Callable[[Evaluation], None] | None = None) -> list[Evaluation]:
        """Evaluate the start and what each step leads to, in this order. What the journal knows is taken from there.

        Raises:
            RunFolderError: the journal is of another descent. JpAdaptError: a loss or slope is not finite.
        """
        book = Journal(journal, self.identity())
        at = np.array([(gene.start - gene.low) / (gene.high - gene.low) for gene in self.genes])
        evaluations = [self._evaluation(book, 0, at, differentiate, told)]
        model = LocalModel(self.fitness, evaluations[0])
        radius = self.radius * math.sqrt(len(self.genes))
        for step in range(1, self.steps + 1):
            move, promised = model.best_step(radius)
            if promised <= SETTLED * abs(model.fitness_here):
                break
            known = self._evaluation(book, step, model.here + move, differentiate, told)
            evaluations.append(known)
            gained, length = model.fitness_here - known.fitness, float(np.linalg.norm(move))
            if gained < BADLY * promised:
                radius = length / 2
            elif gained > WELL * promised and length > 0.9 * radius:
                radius *= 2
            model = model.after(known)
        return evaluations

    def _evaluation(
        self, book: Journal, step: int, at: NDArray[np.float64], differentiate: Differentiate, told: Callable[[Evaluation], None] | None
    ) -> Evaluation:
        known = book.evaluations.get((0, step))
        if known is None:
            known = self._evaluated(differentiate, step, at)
            book.add(known)
            if told is not None:
                told(known)
        return known

    def _evaluated(self, differentiate: Differentiate, step: int, at: NDArray[np.float64]) -> Evaluation:
        started = time.monotonic()
        genome = [float(value) for value in np.clip(at, 0.0, 1.0)]
        losses, slopes = differentiate(named(self.genes, genome))
        own = {name: [float(loss) for loss in values] for name, values in losses.items()}
        # By each number of the genome, which goes from 0 to 1 over the range of its gene.
        steep = {name: [(gene.high - gene.low) * float(of.get(gene.name, 0.0)) for gene in self.genes] for name, of in slopes.items()}
        if not all(map(math.isfinite, (value for values in (*own.values(), *steep.values()) for value in values))):
            raise JpAdaptError(f"a loss or a slope is not finite (genome {genome})")
        return Evaluation(0, step, genome, own, self.fitness(own), True, round(time.monotonic() - started, 3), steep)


def lowest(evaluations: Sequence[Evaluation]) -> Evaluation:
    """The fittest, the first of equal ones."""
    return min(evaluations, key=lambda entry: entry.fitness)
