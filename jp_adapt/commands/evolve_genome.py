"""The genome of an evolution, and the merge that a genome stands for, as a recipe says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jp_adapt.commands.merge_parents import OpenModel
from jp_adapt.core.errors import InputError
from jp_adapt.merging.genome import Genome, Values
from jp_adapt.merging.genome_stack import Group, StackGenome, runs, scales
from jp_adapt.merging.genome_weights import WeightGenome
from jp_adapt.merging.settings import Setting
from jp_adapt.recipe.evolve import SEARCHED, EvolveSettings
from jp_adapt.recipe.merge import ModelSettings, Slice, SliceModel


def genome_of(merge: EvolveSettings, models: Mapping[str, OpenModel]) -> Genome:
    """What is searched for. InputError: the models have different numbers of layers. UsageError: more groups than layers."""
    counts = {name: model.parent.layers for name, model in models.items()}
    if len(set(counts.values())) > 1:
        raise InputError(f"{', '.join(f'{name!r} has {count} layers' for name, count in counts.items())}; an evolution is over models of as many layers")
    said, layers = merge.genome, next(iter(counts.values()))
    if merge.stacks:
        return StackGenome([*models], said.scale, layers=layers, groups=said.groups, passes=said.passes, interleaved=said.interleaved)
    bounds = {name: value for name in SEARCHED if (value := getattr(said, name)) is not None}
    starts = {name: {parameter: high for parameter, (_, high) in bounds.items()} for name in models if name != merge.base}
    return WeightGenome(starts, bounds, layers=layers, groups=said.groups, modules=said.modules, uniform=merge.uniform_weights, normalizes=merge.normalizes)


def with_all_layers(merge: EvolveSettings, genome: Genome) -> EvolveSettings:
    """The merge of all that a genome can have."""
    if not isinstance(genome, StackGenome):
        return merge
    return _stacked(merge, genome.stack(next(iter(genome.baselines.values()))), genome.models[0])


def _stacked(merge: EvolveSettings, groups: Sequence[Group], first: str) -> EvolveSettings:
    """The merge that stacks groups of layers. What stands around the layers is of one model, whichever groups are in."""
    slices = [Slice(models={model: SliceModel(layers=layers)}) for model, layers in runs(groups)]
    return merge.model_copy(update={"slices": slices, "around": merge.around or first})


def _settings(models: Mapping[str, ModelSettings], genes: Mapping[str, Mapping[str, Setting]]) -> dict[str, ModelSettings]:
    """What the method takes from each model."""
    return {name: model.model_copy(update=genes.get(name, {})) for name, model in models.items()}


def start_settings(models: Mapping[str, ModelSettings], genome: Genome) -> dict[str, ModelSettings]:
    """What the method takes from each model in the first baseline."""
    return _settings(models, genome.settings(next(iter(genome.baselines.values()))))


def found_merge(merge: EvolveSettings, models: Mapping[str, ModelSettings], genome: Genome, values: Values) -> tuple[EvolveSettings, dict[str, ModelSettings]]:
    """The merge of a genome: without layers that are left out."""
    written = genome.written(values)
    if not isinstance(genome, StackGenome):
        return merge, _settings(models, genome.settings(written))
    groups = [group for group in genome.stack(written) if group.scale]
    return _stacked(merge, groups, genome.models[0]), _settings(models, scales(groups))
