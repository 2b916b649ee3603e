"""What of a merge is searched for, as numbers between bounds, and what they make of its settings. It reads no weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from jp_adapt.core.errors import UsageError
from jp_adapt.merging.search import Gene
from jp_adapt.merging.settings import Place, Setting

Values = Mapping[str, float]  # of the genes, by name
Span = tuple[int, int]  # of layers: the first, and the one behind the last
DIGITS = 4  # what a recipe shows of a number is what is merged with


@dataclass(frozen=True)
class MergeGene:
    """A number of the genome: a parameter of a model in `layers`.

    `module`: in the tensors whose names contain it; of a stack, in which pass. None: in all.
    """

    gene: Gene
    model: str
    parameter: str
    layers: Span
    module: str | None


class Genome(ABC):
    """The genes of a merge.

    Attributes:
        steep: the parameter whose genes have a gradient.
        baselines: genomes by name: the search starts from the best of them.
        groups: of layers; the genes of each are numbers of their own.
    """

    steep: ClassVar[str]
    genes: list[MergeGene]
    models: list[str]
    groups: list[Span]
    baselines: dict[str, dict[str, float]]

    def started(self, values: Values) -> list[Gene]:
        """The genes, with `values` as their start."""
        return [replace(entry.gene, start=values[entry.gene.name]) for entry in self.genes]

    @abstractmethod
    def written(self, values: Values) -> dict[str, float]:
        """The values that are merged with: rounded to what a recipe shows of them."""

    @abstractmethod
    def settings(self, values: Values) -> dict[str, dict[str, Setting]]:
        """Model -> parameter -> its setting."""

    @abstractmethod
    def check(self, places: Sequence[Place]) -> None:
        """UsageError for a gene that says nothing of any tensor at these places."""

    @abstractmethod
    def changes(self, place: Place) -> bool:
        """Whether the tensor at a place is another one for other values."""

    def layers_in(self, values: Values) -> list[int] | None:
        """The layers that are not left out, by their number in the merge of all; None: all."""
        return None

    @abstractmethod
    def gene_at(self, model: str, parameter: str, place: Place) -> str:
        """The gene that says a model's parameter at a place of the merged model."""


def parted(layers: int, groups: int) -> list[Span]:
    """The layers in so many parts of like size. UsageError where there are more parts than layers."""
    if groups > layers:
        raise UsageError(f"{groups} groups of layers, and the model has {layers} layers; give at most as many")
    edges = [layers * number // groups for number in range(groups + 1)]
    return [(edges[number], edges[number + 1]) for number in range(groups)]
