"""What an evolution may say: which numbers of a merge are searched for, by which measures, and for how long."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from jp_adapt.benchmarks.part import Count, Name, NotNegative, Part
from jp_adapt.merging.settings import DENSITY_STEPS, steps_between
from jp_adapt.merging.table import METHODS
from jp_adapt.recipe.merge import Finding, MergeSettings, ModelSettings, findings

SEARCHED = ("weight", "density")
TOTAL = "fitness"  # in figures, the weighted sum of all measures
Bound = Annotated[float, Field(ge=-10, le=10)]
Bounds = Annotated[tuple[Bound, Bound], Field(strict=False)]


class GenomeSettings(Part):
    """The numbers that are searched for: of each model but the base, in each group of layers and each kind of module.

    Of passthrough there is one number for each group of layers in the stack: the factor of what it adds to the hidden states.
    """

    EXAMPLE: ClassVar[str] = "{groups: 3, weight: [0, 1.5]}"

    groups: Annotated[int, Field(gt=0, le=10_000)] = Field(1, description="parts of like size into which the layers (of each model) are divided")
    modules: list[str] = Field(default_factory=list, description="parts of tensors' names that get numbers of their own, as [self_attn, mlp]")
    weight: Bounds = Field((0.0, 1.5), description="lowest and highest weight")
    density: Bounds | None = Field(None, description="lowest and highest density, in steps of 0.05; starts at the highest. By default none is searched for")
    scale: Annotated[float, Field(ge=1, le=10)] = Field(1.5, description="passthrough: highest factor of what a group of layers adds; below 0.1 it is left out")
    passes: Annotated[int, Field(gt=0, le=100)] = Field(1, description="passthrough: how often all layers of all models stand in the stack")
    interleaved: bool = Field(False, description="passthrough: the first groups of all models, then their second groups; else model by model")


class GradientSettings(Part):
    """Descent by gradients before CMA-ES searches."""

    EXAMPLE: ClassVar[str] = "{steps: 12}"

    steps: Annotated[int, Field(gt=0, le=10_000)] = Field(
        description="at most; each costs some three evaluations, and all items of all measures in bits are asked"
    )
    radius: float = Field(
        0.05,
        gt=0,
        le=1,
        description="of the first step: how far the numbers move in the mean, as a share of their ranges; it grows and shrinks with what steps bring",
    )


class Measure(Part):
    """Something that candidates are measured by: the answers of a benchmark's items, or a text."""

    EXAMPLE: ClassVar[str] = "{text: SOURCE}"

    benchmark: str | None = Field(None, description="by name, or the path of a declaration")
    text: Name | None = Field(None, description="source of text")
    metric: Literal["bits_per_char", "score"] = Field(
        "bits_per_char", description="bits per character of the text, or of the right answers; score: the benchmark's own first metric, item by item"
    )
    weight: NotNegative = Field(1.0, description="factor in the fitness; 0: it is measured, and is a guard if it says so")
    guard: float | None = Field(
        None, ge=1, le=100, description="the loss, at the upper bound of what its items leave open, may be this many times that of what the search starts from"
    )
    items: Count | None = Field(None, description="items (or documents) that the search asks; by default half. The others it never sees")
    heldout: Annotated[int, Field(ge=2, le=10**9)] | None = Field(
        None, description="of the others, so many are held out to be measured at the end; all by default"
    )
    chars: Count | None = Field(None, description="characters of each document that are read, from its beginning")
    force: bool = Field(False, description="search on the test set of a known benchmark all the same; its score says nothing afterwards")

    @model_validator(mode="after")
    def _one_thing(self) -> Measure:
        if (self.benchmark is None) == (self.text is None):
            raise ValueError("give either 'benchmark' or 'text'")
        if self.text is not None and self.metric == "score":
            raise ValueError("a text has no score; its metric is bits_per_char")
        return self


class EvolveSettings(MergeSettings):
    """A merge whose weights and densities are searched for."""

    genome: GenomeSettings = Field(GenomeSettings(), description="what is searched for")
    fitness: dict[Name, Measure] = Field(min_length=1, description="name -> what candidates are measured by; the fitness is the weighted sum of their losses")
    uniform: list[Bound] = Field(
        [0.5, 1.0],
        min_length=1,
        description="weights of the uniform merges: baselines, of which the best one starts the search; of a method that normalizes, the first. "
        "Of passthrough each model's layers alone are",
    )
    gradient: GradientSettings | None = Field(
        None, description="gradient descent from the best baseline on, whose best step is the start of CMA-ES; by default there is none"
    )
    generations: Annotated[int, Field(ge=0, le=10**6)] = Field(10, description="of CMA-ES; 0: what gradient descent leads to is the result")
    population: Annotated[int, Field(ge=4, le=10**6)] | None = Field(None, description="candidates of a generation; 4 + 3 ln n of n genes by default")
    sigma: float = Field(1 / 6, gt=0, le=1, description="standard deviation at the start, as a share of each gene's range")
    rounds: Count = Field(1, description="parts in which a candidate's items are asked; after each a clearly worse one is given up")
    processes: Annotated[int, Field(gt=0, le=4096)] = Field(1, description="candidates evaluated at the same time, each in a process with the model in it")
    data: str | None = Field(None, description="folder that holds the upstream repositories of the benchmarks whose data is not shipped")

    @property
    def uniform_weights(self) -> list[float]:
        """Weights of the uniform merges, each once. A method that divides by the sum of the weights makes one merge of them all."""
        weights = list(dict.fromkeys(self.uniform))
        return weights[:1] if self.normalizes else weights

    @property
    def stacks(self) -> bool:
        """Whether layers are stacked, and not merged one with one."""
        return self.method == "passthrough"

    @property
    def normalizes(self) -> bool:
        """Whether weights are divided by their sum."""
        return bool(METHODS[self.method].shared.get("normalize", False) if self.normalize is None else self.normalize)


def evolve_findings(merge: EvolveSettings, models: Mapping[str, ModelSettings]) -> Iterator[Finding]:
    """What the parts of an evolution do not agree on: (path of keys, message)."""
    yield from findings(merge, models, searched=("slices",) if merge.stacks else SEARCHED)
    method = METHODS.get(merge.method)
    if method is None:
        return
    if merge.slices is not None:
        yield ("slices",), f"{'which layers there are is searched for' if merge.stacks else 'an evolution merges layers one with one'}; take 'slices' out"
    yield from _stack_findings(merge, models) if merge.stacks else _weight_findings(merge, models)
    yield from _count_findings(merge, models)
    yield from _fitness_findings(merge)


def _stack_findings(merge: EvolveSettings, models: Mapping[str, ModelSettings]) -> Iterator[Finding]:
    for key in sorted({"weight", "density", "modules"} & merge.genome.model_fields_set):
        yield ("genome", key), f"passthrough takes layers as they are; take '{key}' out"
    if "uniform" in merge.model_fields_set:
        yield ("uniform",), "passthrough has no uniform merges: its search starts from the layers of one model; take 'uniform' out"
    for name, model in models.items():
        if model.scale is not None:
            yield ("models", name, "scale"), f"the scale of '{name}' is searched for (genome.scale); take it out here"


def _weight_findings(merge: EvolveSettings, models: Mapping[str, ModelSettings]) -> Iterator[Finding]:
    method = METHODS[merge.method]
    able = ", ".join(name for name, entry in METHODS.items() if "weight" in entry.per_model)
    if "weight" not in method.per_model:
        yield ("method",), f"{method.name} has no weights to search for; methods with weights: {able}; layers are searched for with passthrough"
    for key in sorted({"scale", "passes", "interleaved"} & merge.genome.model_fields_set):
        yield ("genome", key), f"'{key}' is of stacks of layers (passthrough); take it out"
    if merge.genome.density is not None and "density" not in method.per_model:
        yield ("genome", "density"), f"{method.name} has no densities; take 'density' out, or take ties, dare_ties or della"
    for parameter in SEARCHED:
        bounds = getattr(merge.genome, parameter)
        if bounds is None:
            continue
        if not bounds[0] < bounds[1] or (parameter == "density" and not 0 < bounds[0] < bounds[1] <= 1):
            rule = " above 0 and up to 1" if parameter == "density" else ""
            yield ("genome", parameter), f"{parameter} is searched from {bounds[0]:g} to {bounds[1]:g}; give [lowest, highest]{rule}"
        for name, model in models.items():
            if getattr(model, parameter) is not None:
                yield ("models", name, parameter), f"the {parameter} of '{name}' is searched for (genome.{parameter}); take it out here"
    low, high = merge.genome.weight
    if merge.normalizes and low < 0:
        rule = f"{method.name} divides by the sum of the weights, which must not be 0"
        yield ("genome", "weight"), f"weights are searched from {low:g}; {rule}: search from 0 on, or say normalize: false"
    density = merge.genome.density
    if density is not None and 0 < density[0] < density[1] <= 1 and steps_between(*density)[0] > steps_between(*density)[1]:
        yield ("genome", "density"), f"densities are multiples of {1 / DENSITY_STEPS:g}, of which there is none from {density[0]:g} to {density[1]:g}"
    for position, weight in enumerate(merge.uniform):
        if not low <= weight <= high:
            yield ("uniform", position), f"a uniform merge of weight {weight:g}, and weights are searched from {low:g} to {high:g}"
        elif weight == 0 and merge.normalizes:
            yield ("uniform", position), f"a uniform merge of weight 0, and {method.name} divides by the sum of the weights; take another weight"


def _count_findings(merge: EvolveSettings, models: Mapping[str, ModelSettings]) -> Iterator[Finding]:
    said = merge.genome
    if len(set(said.modules)) < len(said.modules):
        yield ("genome", "modules"), f"modules are {', '.join(said.modules)}; name each once"
    searched = sum(getattr(said, name) is not None for name in SEARCHED)
    kinds = said.passes if merge.stacks else searched * max(1, len(said.modules))
    if len([name for name in models if name != merge.base]) * said.groups * kinds == 1:
        yield ("genome",), "one number is searched for, and a search is over at least two; give more groups or modules, or merge with several values of it"


def _fitness_findings(merge: EvolveSettings) -> Iterator[Finding]:
    if TOTAL in merge.fitness:
        yield ("fitness", TOTAL), f"'{TOTAL}' is the weighted sum of the measures; give this one another name"
    for name, measure in merge.fitness.items():
        if measure.items is not None and measure.items < merge.rounds:
            rule = f"{measure.items} item{'s' if measure.items > 1 else ''} cannot be asked in {merge.rounds} rounds; give more items, or fewer rounds"
            yield ("fitness", name, "items"), f"'{name}': {rule}"
    if not any(measure.weight for measure in merge.fitness.values()):
        yield ("fitness",), "no measure has a weight above 0, so there is nothing to search for"
    elif merge.gradient is not None and not any(measure.weight for measure in merge.fitness.values() if measure.metric != "score"):
        yield ("gradient",), "no measure with a weight is in bits_per_char, and a score has no gradient; take 'gradient' out, or add such a measure"
    if merge.gradient is None and merge.generations == 0:
        yield ("generations",), "0 generations without gradient descent search for nothing; give more, or add gradient: {steps: 12}"
