"""Of which models, and how much of each, a model was made: estimated from its weights alone."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from jp_adapt.core.errors import InputError
from jp_adapt.merging.blocks import spans
from jp_adapt.merging.checkpoint import Weights
from jp_adapt.merging.settings import layer_of

Matrix = NDArray[np.float64]
# What the model must get nearer by a candidate that counts as a parent: shares of the candidates' mean squared distance from their mean, and of what no mixture
# explains. The first finds parents of a weight of 0.01 in linear merges; the second keeps out those that share in the shape of TIES' or DARE's selections.
SHARE_OF_SPREAD, SHARE_OF_REST = 2e-5, 2e-3
SAME = 1e-9  # smallest eigenvalue of the candidates' correlations with which they can be told apart


@dataclass(frozen=True)
class Estimate:
    """Coefficients of the parents, for the tensors of a layer or for all; none where the parents cannot be told apart.

    Attributes:
        unexplained: the squared distance that is left, over the parents' mean squared distance from their mean: near 0 for a mixture, and 1 and more where
            the real parents are others. None where the parents do not differ.
    """

    coefficients: dict[str, float]
    unexplained: float | None


@dataclass(frozen=True)
class Explanation:
    """What was estimated.

    Attributes:
        parents: of the candidates, those that the model was made of.
        whole: of all tensors together. The coefficients add up to 1, but for weights that were scaled.
        errors: standard error of each coefficient.
        layers: layer (None: embedding, norm and head) -> of its tensors.
        left_out: tensors that were not compared, since not all models have them in one shape.
    """

    parents: list[str]
    whole: Estimate
    errors: dict[str, float]
    layers: dict[int | None, Estimate]
    left_out: list[str]


def explain_merge(model: Weights, candidates: Mapping[str, Weights], advance: Callable[[int, str], None] | None = None) -> Explanation:
    """Estimate by least squares which mixture of the candidates a model is.

    A linear merge is such a mixture, and task arithmetic too: its base is a parent with 1 minus the weights of the others. Of other methods the
    coefficients say what came through on average.

    Raises:
        InputError: fewer than two candidates, no tensor in common, or candidates that cannot be told apart.
    """
    if len(candidates) < 2:
        raise InputError("give at least two models that may be parents; with one there is nothing to tell apart")
    shapes = {name: info.shape for name, info in model.tensors.items()}
    names = [name for name, shape in shapes.items() if all(name in other.tensors and other.tensors[name].shape == shape for other in candidates.values())]
    if not names:
        raise InputError("the model and its possible parents have no tensor of one name and shape in common")
    products: dict[int | None, Matrix] = defaultdict(lambda: np.zeros((len(candidates) + 1,) * 2))
    elements: dict[int | None, int] = defaultdict(int)
    for number, name in enumerate(names, start=1):
        layer = layer_of(name)
        products[layer] += _products(model.read(name), [other.read(name) for other in candidates.values()])
        elements[layer] += math.prod(shapes[name])
        if advance is not None:
            advance(number, "tensors")
    fits = {layer: _Fit(matrix, elements[layer], list(candidates)) for layer, matrix in products.items()}
    whole = _Fit(np.asarray(sum(products.values())), sum(elements.values()), list(candidates))
    if not whole.told_apart(whole.names):
        raise InputError(f"{', '.join(whole.names)}: these cannot be told apart, since one of them is a mixture of the others (or a copy); leave one out")
    parents = whole.parents()
    layers = {layer: fits[layer].estimate(parents) for layer in sorted(fits, key=lambda layer: -1 if layer is None else layer)}
    return Explanation(parents, whole.estimate(parents), whole.errors(parents), layers, sorted(shapes.keys() - set(names)))


def _products(model: Tensor, candidates: Sequence[Tensor]) -> Matrix:
    """Inner products, in float64, of the differences to the first candidate (the model's, then those of the other candidates) and of that candidate itself."""
    flat = [tensor.reshape(-1) for tensor in (model, *candidates[1:], candidates[0])]
    total = torch.zeros(len(flat), len(flat), dtype=torch.float64)
    for span in spans(model.shape):
        block = torch.stack([tensor[span].to(torch.float64) for tensor in flat])
        block[:-1] -= block[-1]
        total += block @ block.t()
    products: Matrix = total.numpy()
    return products


class _Fit:
    """Least squares on the inner products of some tensors.

    Args:
        products: as `_products` gives them.
        elements: how many elements the tensors have.
        names: of the candidates.
    """

    def __init__(self, products: Matrix, elements: int, names: list[str]) -> None:
        self.products, self.elements, self.names = products, elements, names

    def _vector(self, name: str) -> Matrix:
        """A candidate as a combination of what `products` is of."""
        place = self.names.index(name)
        vector = np.zeros(len(self.products))
        vector[-1] = 1
        if place:
            vector[place] = 1
        return vector

    def _model(self) -> Matrix:
        vector = np.zeros(len(self.products))
        vector[[0, -1]] = 1
        return vector

    def spread(self, names: Sequence[str]) -> float:
        """Mean squared distance of candidates from their mean."""
        vectors = [self._vector(name) for name in names]
        mean = np.mean(vectors, axis=0)
        return float(np.mean([(vector - mean) @ self.products @ (vector - mean) for vector in vectors]))

    def _system(self, names: Sequence[str]) -> tuple[Matrix, Matrix, float]:
        """Normal equations of the model's difference to the first candidate: columns are the differences of the others, and that candidate itself."""
        origin = self._vector(names[0])
        columns = np.array([*(self._vector(name) - origin for name in names[1:]), origin])
        target = self._model() - origin
        return columns @ self.products @ columns.T, columns @ self.products @ target, float(target @ self.products @ target)

    def told_apart(self, names: Sequence[str]) -> bool:
        """Whether no candidate is a mixture of the others."""
        matrix, _, _ = self._system(names)
        norms = np.sqrt(np.diag(matrix))
        return bool(np.all(norms > 0)) and float(np.linalg.eigvalsh(matrix / np.outer(norms, norms))[0]) > SAME

    def _solve(self, names: Sequence[str]) -> tuple[Matrix, float]:
        """Coefficients of the columns, and the squared distance that is left."""
        matrix, right, square = self._system(names)
        norms = np.sqrt(np.diag(matrix))
        solution = np.linalg.solve(matrix / np.outer(norms, norms), right / norms) / norms
        return solution, max(0.0, square - float(right @ solution))

    def parents(self) -> list[str]:
        """The candidates without which the model cannot be made as well: the least needed one goes, until all are needed."""
        names = list(self.names)
        allowed = SHARE_OF_SPREAD * self.spread(names) + SHARE_OF_REST * self._solve(names)[1]
        while len(names) > 1:
            left = {name: self._solve([other for other in names if other != name])[1] for name in names}
            least = min(left, key=lambda name: left[name])
            if left[least] - self._solve(names)[1] > allowed:
                break
            names.remove(least)
        return names

    def estimate(self, names: Sequence[str]) -> Estimate:
        """Coefficients of the parents `names`."""
        spread = self.spread(names) if len(names) > 1 else self.spread(self.names)
        if not spread > 0 or not self.told_apart(names):
            return Estimate({}, None)
        solution, left = self._solve(names)
        others = dict(zip(names[1:], map(float, solution[:-1]), strict=True))
        return Estimate({names[0]: 1.0 + float(solution[-1]) - math.fsum(others.values())} | others, left / spread)

    def errors(self, names: Sequence[str]) -> dict[str, float]:
        """Standard errors of the coefficients; that of the first is what the others leave it."""
        matrix, _, _ = self._system(names)
        _, left = self._solve(names)
        covariance = np.linalg.inv(matrix) * left / max(1, self.elements - len(names))
        first = np.array([*([-1.0] * (len(names) - 1)), 1.0])
        return {names[0]: math.sqrt(max(0.0, float(first @ covariance @ first)))} | {
            name: math.sqrt(max(0.0, float(covariance[place, place]))) for place, name in enumerate(names[1:])
        }
