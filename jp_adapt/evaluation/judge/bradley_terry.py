"""Strengths of models from pairwise judgements: Bradley-Terry with an advantage of the first place, and intervals over resampled questions.

log-odds that the first answer wins = advantage + strength(first) - strength(second); a tie is half a win of each (Rakuda's model, make_ranking.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from jp_adapt.evaluation.statistics import resample_counts

Floats = NDArray[np.float64]
PRIOR_GAMES = 0.1  # a model that won every game would have no finite strength: each model is given so many ties against an average opponent
POINTS = 400 / np.log(10)  # one unit of log-odds in points, as in chess; 1000 is the average
RESAMPLES = 1000


@dataclass(frozen=True)
class Game:
    """Two answers to one question: `score` is 1 where the first wins, 0 where the second does, 0.5 for a tie."""

    question: str
    first: str
    second: str
    score: float


@dataclass(frozen=True)
class Strength:
    """A model's strength in points, with its 95 % interval, and its share of wins (ties as half)."""

    model: str
    points: float
    interval: tuple[float, float]
    win_share: float


@dataclass(frozen=True)
class Ranking:
    """Models from the strongest to the weakest. `first_place_advantage` in points; `decided_by_order`: share of pairs that turn round with the order."""

    strengths: list[Strength]
    first_place_advantage: float
    decided_by_order: float | None
    games: int


def rank(games: Sequence[Game], seed: int = 0) -> Ranking:
    """The ranking of all models in `games`, and 95 % intervals by drawing questions with replacement (games on one question are not independent)."""
    models = sorted({name for game in games for name in (game.first, game.second)})
    place = {name: index for index, name in enumerate(models)}
    questions = {name: index for index, name in enumerate(dict.fromkeys(game.question for game in games))}
    first = np.array([place[game.first] for game in games])
    second = np.array([place[game.second] for game in games])
    score = np.array([game.score for game in games])
    owner = np.array([questions[game.question] for game in games])
    strengths, advantage = fit(first, second, score, np.ones(len(games)), len(models))
    counts = resample_counts(len(questions), RESAMPLES, np.random.default_rng(seed))
    drawn = np.array([fit(first, second, score, count[owner].astype(float), len(models), start=(strengths, advantage))[0] for count in counts])
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    ranked = []
    for index in np.argsort(-strengths, kind="stable"):
        wins = np.concatenate([score[first == index], 1 - score[second == index]])
        bounds = (float(1000 + POINTS * low[index]), float(1000 + POINTS * high[index]))
        ranked.append(Strength(models[index], float(1000 + POINTS * strengths[index]), bounds, float(wins.mean())))
    return Ranking(ranked, float(POINTS * advantage), _decided_by_order(games), len(games))


def fit(
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    score: Floats,
    weight: Floats,
    models: int,
    *,
    prior: float = PRIOR_GAMES,
    start: tuple[Floats, float] | None = None,
) -> tuple[Floats, float]:
    """(strengths [models], sum 0; advantage of the first place) of the highest likelihood, by Newton's method. All in log-odds.

    `weight`: how often each game counts. `prior`: ties of each model against an opponent of strength 0 and without the advantage.
    """
    x = np.append(*start) if start is not None else np.zeros(models + 1)
    design = np.zeros((len(score), models + 1))
    rows = np.arange(len(score))
    design[rows, first], design[rows, second], design[:, models] = 1.0, -1.0, 1.0
    for _ in range(100):
        win = 1 / (1 + np.exp(-design @ x))
        alone = 1 / (1 + np.exp(-x[:models]))
        gradient = design.T @ (weight * (score - win))
        gradient[:models] += prior * (0.5 - alone)
        curvature = (design.T * (weight * win * (1 - win))) @ design
        curvature[np.arange(models), np.arange(models)] += prior * alone * (1 - alone)
        step = np.linalg.lstsq(curvature, gradient, rcond=1e-12)[0]  # without a prior the strengths have a free constant: the shortest step leaves it alone
        x = x + step * min(1.0, 2.0 / max(1e-300, float(np.abs(step).max())))
        if np.abs(step).max() < 1e-10:
            break
    return x[:models] - x[:models].mean(), float(x[models])


def _decided_by_order(games: Sequence[Game]) -> float | None:
    """Of the pairs of answers shown in both orders, the share in which the same place wins both times."""
    seen = {(game.question, game.first, game.second): game.score for game in games}
    both = [(score, seen[question, second, first]) for (question, first, second), score in seen.items() if first < second and (question, second, first) in seen]
    return sum(existing != 0.5 and existing == back for existing, back in both) / len(both) if both else None
