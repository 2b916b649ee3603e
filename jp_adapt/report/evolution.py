"""What an evolution found, as a typed document: evolution.json in the folder of its model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from jp_adapt.core.documents import Document

EVOLUTION = "evolution.json"
FITNESS = "fitness"  # the figure that is the weighted sum of the others
Interval = tuple[float, float]
ModelKind = Literal["base", "parent", "uniform", "alone", "gradient", "mean", "evolved"]


@dataclass(frozen=True)
class EvolvedGene:
    """A number that was searched for; `layers`: the first, and the one behind the last."""

    name: str
    model: str
    parameter: str
    layers: tuple[int, int]
    module: str | None
    low: float
    high: float
    start: float
    best: float


@dataclass(frozen=True)
class Figure:
    """Something that was measured.

    Attributes:
        name: of the measure; `fitness`, or with the metric behind a slash where the measure has two.
        unit: bits per character, or the name of a metric.
        weight: in the fitness; None where it is no part of it.
        guard: how many times the loss of the merge from which the search started it may be.
    """

    name: str
    title: str
    unit: str
    lower_is_better: bool
    dev_items: int
    heldout_items: int
    weight: float | None = None
    guard: float | None = None


@dataclass(frozen=True)
class Difference:
    """The evolved model's figure minus another's on the same held-out items, with a 95 % interval of the paired difference."""

    value: float
    interval: Interval
    p: float | None = None


@dataclass(frozen=True)
class MeasuredModel:
    """A model with its figures by name, and how the evolved one differs from it."""

    name: str
    kind: ModelKind
    dev: dict[str, float]
    heldout: dict[str, float]
    differences: dict[str, Difference] = field(default_factory=dict)


@dataclass(frozen=True)
class CandidateFigures:
    """A candidate in the order of asking; those of gradient descent are of generation 0, as the start of the search is.

    `best`: the lowest fitness so far of those whose items were all asked.
    """

    generation: int
    fitness: float
    whole: bool
    best: float


@dataclass(frozen=True)
class HeldOutPoint:
    """Held-out figures of the best candidate after so many evaluations."""

    evaluations: int
    heldout: dict[str, float]


@dataclass(frozen=True)
class Guarded:
    """A guard at the end: the evolved model's loss over that of the merge from which the search started, on the items that it asked and on others."""

    name: str
    limit: float
    dev: float
    heldout: float

    @property
    def kept(self) -> bool:
        return max(self.dev, self.heldout) <= self.limit


@dataclass(frozen=True)
class Evolution(Document):
    """All that is to be known of an evolution.

    Attributes:
        verdict: whether the evolved model is better than the best parent and the merge from which the search started, on items that the search never saw.
        best_parent: name of the parent with the lowest held-out fitness.
        best_uniform: name of the merge from which the search started: of the uniform ones, or of the layers of one model, that with the lowest fitness on the
            items that it asks. Guards are held against it.
        search_s: of the search as a whole, or since it was last resumed.
        evaluations: of whole candidates and of those that were given up, together; those of gradient descent are the first `gradient_evaluations`.
        merging_s, measuring_s: of one evaluation.
    """

    WHAT: ClassVar[str] = "the record of an evolution"
    WAY_OUT: ClassVar[str] = "run the stage again with this version"

    stage: str
    method: str
    genes: list[EvolvedGene]
    groups: list[tuple[int, int]]  # of layers
    figures: list[Figure]
    models: list[MeasuredModel]
    candidates: list[CandidateFigures]
    heldout_curve: list[HeldOutPoint]
    guards: list[Guarded]
    best_parent: str
    best_uniform: str
    verdict: str
    evaluations: int
    given_up: int
    seed: int
    population: int
    generations: int
    search_s: float
    merging_s: float
    measuring_s: float
    gradient_evaluations: int = 0
    format: Literal[1] = 1

    def model(self, name: str) -> MeasuredModel:
        return next(entry for entry in self.models if entry.name == name)

    @property
    def evolved(self) -> MeasuredModel:
        return next(entry for entry in self.models if entry.kind == "evolved")
