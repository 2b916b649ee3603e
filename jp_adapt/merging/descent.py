"""Gradient descent over a genome: all numbers move at once by what the fitness says of each. It knows nothing of models.

Coefficients of a merge are learned so in AdaMerging (Yang et al., ICLR 2024, 2310.02575), by the entropy of answers; here it is any fitness. Adam (Kingma and
Ba, 1412.6980) takes the steps. Each is in a journal with its gradient before the next one begins, so that a kill changes nothing.
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
from jp_adapt.merging.search import Gene, named

Slopes = Mapping[str, Mapping[str, float]]  # objective -> gene -> by how much the mean loss grows with it
Differentiate = Callable[[Mapping[str, float]], tuple[Losses, Slopes]]  # values of the genes -> losses of all items, and their slopes

BETA1, BETA2, EPSILON = 0.9, 0.99, 1e-12


@dataclass(frozen=True)
class Descent:
    """Steps from where the genes start towards a low fitness.

    Attributes:
        lr: what a number moves in the first step, as a share of its range; the last one moves it by a tenth of that.
    """

    genes: Sequence[Gene]
    fitness: Fitness
    steps: int
    lr: float

    def identity(self) -> dict[str, object]:
        """What decides which genomes are asked for."""
        return {
            "genes": [asdict(gene) for gene in self.genes],
            "objectives": [asdict(objective) for objective in self.fitness.objectives],
            "reference": sha256_json(self.fitness.reference),
            "steps": self.steps,
            "lr": self.lr,
        }

    def run(self, differentiate: Differentiate, journal: Path, told: Callable[[Evaluation], None] | None = None) -> list[Evaluation]:
        """Evaluate the start and what each step leads to, in this order. What the journal knows is taken from there.

        Raises:
            RunFolderError: the journal is of another descent. JpAdaptError: a loss or slope is not finite.
        """
        book = Journal(journal, self.identity())
        at = np.array([(gene.start - gene.low) / (gene.high - gene.low) for gene in self.genes])
        first, second = np.zeros_like(at), np.zeros_like(at)
        evaluations = []
        for step in range(self.steps + 1):
            known = book.evaluations.get((0, step))
            if known is None:
                known = self._evaluated(differentiate, step, at)
                book.add(known)
                if told is not None:
                    told(known)
            evaluations.append(known)
            gradient = np.array(known.gradient)
            first = BETA1 * first + (1 - BETA1) * gradient
            second = BETA2 * second + (1 - BETA2) * gradient**2
            towards = (first / (1 - BETA1 ** (step + 1))) / (np.sqrt(second / (1 - BETA2 ** (step + 1))) + EPSILON)
            at = np.clip(np.array(known.genome) - self._rate(step) * towards, 0.0, 1.0)
        return evaluations

    def _rate(self, step: int) -> float:
        return self.lr * (1 - 0.9 * step / max(1, self.steps - 1))

    def _evaluated(self, differentiate: Differentiate, step: int, at: NDArray[np.float64]) -> Evaluation:
        started = time.monotonic()
        genome = [float(value) for value in at]
        losses, slopes = differentiate(named(self.genes, genome))
        own = {name: [float(loss) for loss in values] for name, values in losses.items()}
        gradient = self._gradient(own, slopes)
        if not all(map(math.isfinite, (*(loss for values in own.values() for loss in values), *gradient))):
            raise JpAdaptError(f"a loss or a gradient is not finite (genome {genome})")
        return Evaluation(0, step, genome, own, self.fitness(own), True, round(time.monotonic() - started, 3), gradient)

    def _gradient(self, losses: Losses, slopes: Slopes) -> list[float]:
        """Of the fitness by each number of the genome, which goes from 0 to 1 over the range of its gene."""
        shares = self.fitness.slopes(losses)
        return [(gene.high - gene.low) * math.fsum(shares[name] * own.get(gene.name, 0.0) for name, own in slopes.items()) for gene in self.genes]


def lowest(evaluations: Sequence[Evaluation]) -> Evaluation:
    """The fittest, the first of equal ones."""
    return min(evaluations, key=lambda entry: entry.fitness)
