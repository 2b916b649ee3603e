"""Weights and densities of models as genes: for groups of layers, and for kinds of modules."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from jp_adapt.core.errors import UsageError
from jp_adapt.merging.genome import DIGITS, Genome, MergeGene, Span, Values, parted
from jp_adapt.merging.search import Gene
from jp_adapt.merging.settings import DENSITY_STEPS, Condition, Place, Setting, steps_between

WEIGHT = "weight"
SMALLEST = 10.0**-DIGITS  # weight of a method that divides by the sum of the weights


class WeightGenome(Genome):
    """The genes of a merge whose models have weights.

    Args:
        starts: model -> parameter -> where each of its genes starts.
        bounds: parameter -> lowest and highest value.
        layers: of the merged model.
        groups: in how many parts of like size the layers are divided, each with numbers of its own.
        modules: parts of tensors' names, each with numbers of its own; none: all of a layer together.
        uniform: weights of the uniform merges, which are the baselines.
        normalizes: whether the method divides by the sum of the weights, which must not be 0.

    Raises:
        UsageError: more groups than layers.
    """

    steep = WEIGHT

    def __init__(
        self,
        starts: Mapping[str, Mapping[str, float]],
        bounds: Mapping[str, tuple[float, float]],
        *,
        layers: int,
        groups: int,
        modules: Sequence[str] = (),
        uniform: Sequence[float] = (),
        normalizes: bool = False,
    ) -> None:
        self.least = SMALLEST if normalizes else -math.inf
        self.groups, self.models = parted(layers, groups), list(starts)
        kinds: list[str | None] = [*modules] or [None]
        self.genes = [
            MergeGene(Gene(_name(model, parameter, span, module), low, high, starts[model][parameter]), model, parameter, span, module)
            for model in starts
            for parameter, (low, high) in bounds.items()
            for span in self.groups
            for module in kinds
        ]
        self.baselines = {f"uniform {weight:g}": self.uniform(weight) for weight in uniform}

    def uniform(self, weight: float) -> dict[str, float]:
        """The genome with this weight for every model everywhere, and all else as it starts."""
        return {entry.gene.name: weight if entry.parameter == WEIGHT else entry.gene.start for entry in self.genes}

    def written(self, values: Values) -> dict[str, float]:
        return {entry.gene.name: self._written(entry, values[entry.gene.name]) for entry in self.genes}

    def _written(self, entry: MergeGene, value: float) -> float:
        """A weight of four decimals, a density of the table."""
        if entry.parameter == WEIGHT:
            return max(self.least, round(value, DIGITS))
        first, last = steps_between(entry.gene.low, entry.gene.high)
        return min(max(first, round(value * DENSITY_STEPS)), last) / DENSITY_STEPS

    def settings(self, values: Values) -> dict[str, dict[str, Setting]]:
        """What no gene holds for (embedding, norms, head, other modules) has the value of the first group."""
        grouped: dict[str, dict[str, list[Condition]]] = {}
        for entry in self.genes:
            condition = Condition(values[entry.gene.name], entry.module, entry.layers)
            grouped.setdefault(entry.model, {}).setdefault(entry.parameter, []).append(condition)
        return {model: {parameter: (*conditions, Condition(conditions[0].value)) for parameter, conditions in own.items()} for model, own in grouped.items()}

    def check(self, places: Sequence[Place]) -> None:
        for entry in self.genes:
            if not any(self.gene_at(entry.model, entry.parameter, place) == entry.gene.name for place in places):
                first, end = entry.layers
                raise UsageError(
                    f"genome.modules: no tensor of layers {first} to {end - 1} is left for '{entry.module}': either none has it in its name, or a module "
                    "before it takes them all; names are those of model.safetensors (self_attn, mlp, q_proj, ...)"
                )

    def changes(self, place: Place) -> bool:
        return True

    def gene_at(self, model: str, parameter: str, place: Place) -> str:
        own = [entry for entry in self.genes if (entry.model, entry.parameter) == (model, parameter)]
        return next((entry for entry in own if Condition(0.0, entry.module, entry.layers).holds(place)), own[0]).gene.name


def _name(model: str, parameter: str, span: Span, module: str | None) -> str:
    return ".".join([model, parameter, f"{span[0]}-{span[1] - 1}", *([module] if module else [])])
