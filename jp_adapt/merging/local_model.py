"""What a fitness is like near the best genome so far: a quadratic for each objective, and the penalties of guards on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from jp_adapt.merging.fitness import GUARD_ERRORS, Fitness
from jp_adapt.merging.journal import Evaluation

Vector = NDArray[np.float64]
SOLVER = {"ftol": 1e-10, "maxiter": 300}
SAME_WAY = 1e-8  # cosine from which on a change of slopes says something of the curvature along a move (SR1)


@dataclass(frozen=True)
class LocalModel:
    """A model of the fitness around an evaluation.

    Attributes:
        best: the evaluation around which it is.
        curvatures: of each objective with slopes, [numbers, numbers]: how its slopes change with each number.
    """

    fitness: Fitness
    best: Evaluation
    curvatures: Mapping[str, Vector] = field(default_factory=dict)

    @property
    def here(self) -> Vector:
        return np.array(self.best.genome)

    @property
    def fitness_here(self) -> float:
        return self.best.fitness

    def after(self, evaluation: Evaluation) -> LocalModel:
        """The model with what another evaluation says, around the better of the two."""
        move = np.array(evaluation.genome) - self.here
        curvatures = {name: _updated(self._curvature(name), move, np.array(slopes) - self._slopes(name)) for name, slopes in evaluation.slopes.items()}
        return LocalModel(self.fitness, evaluation if evaluation.fitness < self.best.fitness else self.best, curvatures)

    def best_step(self, radius: float) -> tuple[Vector, float]:
        """The move of at most this length that promises most, within the bounds of the genes; and by how much the fitness falls with it."""
        names, known = list(self.best.slopes), self.fitness.reference
        guards = [objective for objective in self.fitness.objectives if objective.guard is not None and objective.name in names and known]
        count = len(self.best.genome)
        weights = {objective.name: objective.weight for objective in self.fitness.objectives if objective.name in names and objective.weight}
        penalty = self.fitness.penalty_factor

        def falls(point: Vector) -> tuple[float, Vector]:
            move, over = point[:count], point[count:]
            value, slope = float(penalty * over.sum()), np.full(len(point), penalty)
            slope[:count] = 0.0
            for name, weight in weights.items():
                own, steep = self._change(name, move)
                value, slope[:count] = value + weight * own, slope[:count] + weight * steep
            return value, slope

        def room(point: Vector) -> Vector:
            """At least 0 where each `over` is as much as its guard is broken by, and the move is short enough."""
            over = [point[count + index] - self._excess(guard.name, point[:count])[0] for index, guard in enumerate(guards)]
            return np.array([*over, radius**2 - point[:count] @ point[:count]])

        def room_slopes(point: Vector) -> Vector:
            rows = np.zeros((len(guards) + 1, len(point)))
            for index, guard in enumerate(guards):
                rows[index, :count], rows[index, count + index] = -self._excess(guard.name, point[:count])[1], 1.0
            rows[-1, :count] = -2 * point[:count]
            return rows

        broken = [max(0.0, self._excess(guard.name, np.zeros(count))[0]) for guard in guards]
        bounds = [(-value, 1.0 - value) for value in self.best.genome] + [(0.0, None)] * len(guards)
        start = np.array([0.0] * count + broken)
        solved = minimize(
            falls, start, jac=True, bounds=bounds, constraints=[{"type": "ineq", "fun": room, "jac": room_slopes}], method="SLSQP", options=SOLVER
        )
        move = np.clip(solved.x[:count], *np.array(bounds[:count]).T)
        length = float(np.linalg.norm(move))
        move = move * min(1.0, radius / length) if length else move
        return move, self._promised(move, weights, [guard.name for guard in guards], sum(broken))

    def _promised(self, move: Vector, weights: Mapping[str, float], guards: list[str], broken: float) -> float:
        over = sum(max(0.0, self._excess(name, move)[0]) for name in guards)
        return -sum(weight * self._change(name, move)[0] for name, weight in weights.items()) - self.fitness.penalty_factor * (over - broken)

    def _change(self, name: str, move: Vector) -> tuple[float, Vector]:
        """By how much the mean loss of an objective changes with a move, and the slopes there."""
        bent = self._curvature(name) @ move
        return float(move @ (self._slopes(name) + bent / 2)), self._slopes(name) + bent

    def _excess(self, name: str, move: Vector) -> tuple[float, Vector]:
        """By what share a guard is over its limit after a move, and the slopes of that; what its items leave open is as it is here."""
        objective = next(entry for entry in self.fitness.objectives if entry.name == name)
        change, slopes = self._change(name, move)
        limit = self.fitness.limit(objective, len(self.best.losses[name]))
        return self.fitness.excess(objective, self.best.losses, GUARD_ERRORS) + change / limit, slopes / limit

    def _slopes(self, name: str) -> Vector:
        return np.array(self.best.slopes[name])

    def _curvature(self, name: str) -> Vector:
        count = len(self.best.genome)
        return self.curvatures.get(name, np.zeros((count, count)))


def _updated(curvature: Vector, move: Vector, change: Vector) -> Vector:
    """The curvature that a change of the slopes along a move shows, as a symmetric update of rank one."""
    missing = change - curvature @ move
    along = float(missing @ move)
    if abs(along) < SAME_WAY * float(np.linalg.norm(missing) * np.linalg.norm(move)) or not along:
        return curvature
    return curvature + np.outer(missing, missing) / along
