"""What of a merge is searched for: the weights and densities of its models, for groups of layers and kinds of modules. It reads no weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jp_adapt.core.errors import UsageError
from jp_adapt.merging.search import Gene
from jp_adapt.merging.settings import Condition, Place, Setting

WEIGHT_DIGITS = 4  # what a recipe shows of a weight is what is merged with
DENSITY_STEPS = 20  # densities are multiples of 1/20, so that the thresholds of TIES come from one small table


@dataclass(frozen=True)
class MergeGene:
    """A number of the genome: a parameter of a model in the layers [first, end) and in the tensors whose names contain `module` (None: all)."""

    gene: Gene
    model: str
    parameter: str
    layers: tuple[int, int]
    module: str | None


class Genome:
    """The genes of a merge, and what they make of its settings.

    Args:
        starts: model -> parameter -> where each of its genes starts.
        bounds: parameter -> lowest and highest value.
        layers: of the merged model.
        groups: in how many parts of like size the layers are divided, each with numbers of its own.
        modules: parts of tensors' names, each with numbers of its own; none: all of a layer together.

    Raises:
        UsageError: more groups than layers.
    """

    def __init__(
        self, starts: Mapping[str, Mapping[str, float]], bounds: Mapping[str, tuple[float, float]], *, layers: int, groups: int, modules: Sequence[str] = ()
    ) -> None:
        if groups > layers:
            raise UsageError(f"{groups} groups of layers, and the model has {layers} layers; give at most as many")
        edges = [layers * number // groups for number in range(groups + 1)]
        self.groups = [(edges[number], edges[number + 1]) for number in range(groups)]
        self.modules: list[str | None] = [*modules] or [None]
        self.models = list(starts)
        self.genes = [
            MergeGene(Gene(_name(model, parameter, span, module), low, high, starts[model][parameter]), model, parameter, span, module)
            for model in starts
            for parameter, (low, high) in bounds.items()
            for span in self.groups
            for module in self.modules
        ]

    def uniform(self, weight: float) -> dict[str, float]:
        """The genome with this weight for every model everywhere, and all else as it starts."""
        return {entry.gene.name: weight if entry.parameter == "weight" else entry.gene.start for entry in self.genes}

    def started(self, values: Mapping[str, float]) -> list[Gene]:
        """The genes, with `values` as their start."""
        return [Gene(entry.gene.name, entry.gene.low, entry.gene.high, values[entry.gene.name]) for entry in self.genes]

    def settings(self, values: Mapping[str, float]) -> dict[str, dict[str, Setting]]:
        """Model -> parameter -> its setting. What no gene holds for (embedding, norms, head, other modules) has the value of the first group."""
        grouped: dict[str, dict[str, list[Condition]]] = {}
        for entry in self.genes:
            value = written(entry.parameter, values[entry.gene.name])
            grouped.setdefault(entry.model, {}).setdefault(entry.parameter, []).append(Condition(value, entry.module, entry.layers))
        return {model: {parameter: (*conditions, Condition(conditions[0].value)) for parameter, conditions in own.items()} for model, own in grouped.items()}

    def check(self, places: Sequence[Place]) -> None:
        """UsageError for a gene that says nothing of any tensor at these places: a module that is misspelled, or is part of one before it."""
        for entry in self.genes:
            if not any(self.gene_at(entry.model, entry.parameter, place) == entry.gene.name for place in places):
                first, end = entry.layers
                raise UsageError(
                    f"genome.modules: no tensor of layers {first} to {end - 1} is left for '{entry.module}': either none has it in its name, or a module "
                    "before it takes them all; names are those of model.safetensors (self_attn, mlp, q_proj, ...)"
                )

    def gene_at(self, model: str, parameter: str, place: Place) -> str:
        """The gene that says a model's parameter at a place of the merged model."""
        own = [entry for entry in self.genes if (entry.model, entry.parameter) == (model, parameter)]
        return next((entry for entry in own if Condition(0.0, entry.module, entry.layers).holds(place)), own[0]).gene.name


def written(parameter: str, value: float) -> float:
    """The value that is merged with: a weight of four decimals, a density of the table."""
    if parameter == "density":
        return max(1, round(value * DENSITY_STEPS)) / DENSITY_STEPS
    return round(value, WEIGHT_DIGITS)


def _name(model: str, parameter: str, span: tuple[int, int], module: str | None) -> str:
    return ".".join([model, parameter, f"{span[0]}-{span[1] - 1}", *([module] if module else [])])
