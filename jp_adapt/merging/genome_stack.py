"""Layers as genes: how much each group of them adds in a stack, and so which layers there are, and in which order.

The data flow space of Akiba et al. (2403.13187, section 3.2): all layers of all models stand one behind the other, several times over, and a search keeps some
of them. There a layer is in or out, and what goes into it is scaled. Here one number says both, the factor of what a layer adds to the hidden states: with 0
the layer is out. So the way from one stack to another is smooth, and has a gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from jp_adapt.merging.genome import DIGITS, Genome, MergeGene, Span, Values, parted
from jp_adapt.merging.search import Gene
from jp_adapt.merging.settings import Condition, Place, Setting

SCALE = "scale"
ADDING = ("self_attn.o_proj", "mlp.down_proj")  # what they make a layer adds to the hidden states
LEFT_OUT = 0.1  # layers that add less are out


@dataclass(frozen=True)
class Group:
    """Layers of a model in a stack, and the factor of what they add."""

    model: str
    layers: Span
    scale: float

    @property
    def length(self) -> int:
        return self.layers[1] - self.layers[0]


class StackGenome(Genome):
    """The genes of a stack, one for each group of layers in it.

    Args:
        models: in their order.
        high: the highest factor; the lowest is 0.
        layers: of each model.
        groups: in how many parts of like size the layers of a model are divided.
        passes: how often all layers of all models stand in the stack.
        interleaved: the first groups of all models stand before their second groups; else all layers of a model stand together.

    Raises:
        UsageError: more groups than layers.
    """

    steep = SCALE

    def __init__(self, models: Sequence[str], high: float, *, layers: int, groups: int, passes: int = 1, interleaved: bool = False) -> None:
        self.groups, self.models = parted(layers, groups), list(models)
        together = [(model, span) for model in models for span in self.groups]
        once = [(model, span) for span in self.groups for model in models] if interleaved else together
        self.genes = [
            MergeGene(Gene(_name(model, span, number, passes), 0.0, high, 0.0), model, SCALE, span, f"pass {number + 1}" if passes > 1 else None)
            for number in range(passes)
            for model, span in once
        ]
        first = {entry.gene.name for entry in self.genes[: len(once)]}
        self.baselines = {
            f"layers of {model}": {entry.gene.name: float(entry.model == model and entry.gene.name in first) for entry in self.genes} for model in models
        }

    def written(self, values: Values) -> dict[str, float]:
        """Below a tenth 0. Where all are below, the highest is in."""
        nearest = max(self.genes, key=lambda entry: values[entry.gene.name]).gene.name
        kept = {name: round(max(value, LEFT_OUT) if name == nearest else value, DIGITS) for name, value in values.items()}
        return {name: value if value >= LEFT_OUT else 0.0 for name, value in kept.items()}

    def stack(self, values: Values) -> list[Group]:
        """All groups in their order, those that are out with a factor of 0."""
        return [Group(entry.model, entry.layers, values[entry.gene.name]) for entry in self.genes]

    def layers_in(self, values: Values) -> list[int]:
        groups = self.stack(values)
        return [layer for group, span in zip(groups, spans(groups), strict=True) if group.scale for layer in range(*span)]

    def settings(self, values: Values) -> dict[str, dict[str, Setting]]:
        """Of a merge of all groups. Every model has one, since it takes the place of another genome's."""
        as_they_are: dict[str, dict[str, Setting]] = {model: {SCALE: 1.0} for model in self.models}
        return as_they_are | scales(self.stack(values))

    def check(self, places: Sequence[Place]) -> None:
        """Each gene holds for the outputs of its own layers."""

    def changes(self, place: Place) -> bool:
        return any(name in place.name for name in ADDING)

    def gene_at(self, model: str, parameter: str, place: Place) -> str:
        assert place.layer is not None
        return next(
            entry.gene.name for entry, (_, end) in zip(self.genes, spans(self.stack(self.baselines[f"layers of {model}"])), strict=True) if place.layer < end
        )


def spans(groups: Sequence[Group]) -> list[Span]:
    """Where each group stands in a stack of these."""
    ends = [0]
    for group in groups:
        ends.append(ends[-1] + group.length)
    return list(pairwise(ends))


def runs(groups: Sequence[Group]) -> list[tuple[str, Span]]:
    """Model and layers of each stretch of a stack whose layers follow each other in the model, too."""
    results: list[tuple[str, Span]] = []
    for group in groups:
        if results and results[-1][0] == group.model and results[-1][1][1] == group.layers[0]:
            results[-1] = group.model, (results[-1][1][0], group.layers[1])
        else:
            results.append((group.model, group.layers))
    return results


def scales(groups: Sequence[Group]) -> dict[str, dict[str, Setting]]:
    """Model -> parameter -> its setting, of a stack of these groups."""
    conditions: dict[str, list[Condition]] = {group.model: [] for group in groups}
    for group, span in zip(groups, spans(groups), strict=True):
        conditions[group.model] += [Condition(group.scale, name, span) for name in ADDING if group.scale != 1]
    return {model: {SCALE: (*own, Condition(1.0))} for model, own in conditions.items() if own}


def _name(model: str, span: Span, number: int, passes: int) -> str:
    return f"{model}.{SCALE}.{span[0]}-{span[1] - 1}" + (f".pass{number + 1}" if passes > 1 else "")
