"""Whether an evolution fits the layers and the items that there are: told before the stages ahead of it train, as far as it can be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from jp_adapt.core.yaml_lines import Key
from jp_adapt.corpus.sources import read_documents
from jp_adapt.model.architectures import KNOWN, from_folder
from jp_adapt.recipe.evolve import Measure
from jp_adapt.recipe.schema import Base, EvolveStage, MergeStage, Recipe

FEWEST_HELD_OUT = 2  # one item says nothing of how much others would differ
MOST_BYTES = 16 * 2**20  # of a text whose documents are counted here; a longer one has enough


def size_findings(stage: EvolveStage, recipe: Recipe) -> Iterator[tuple[Key, str]]:
    """More groups than layers, and more items than documents: (path of keys in the stage, message). InputError where a text or a config.json cannot be read."""
    sliced = any(_stacks(entry) for entry in recipe.stages if entry is not stage)  # its layers are not those of the base
    layers = None if sliced else _layers(stage, recipe.base)
    if layers is not None and stage.genome.groups > layers:
        yield ("genome", "groups"), f"{stage.genome.groups} groups of layers, and the model has {layers} layers; give at most as many"
    for name, measure in stage.fitness.items():
        source = recipe.sources.get(measure.text or "")
        if source is not None and (path := Path(source.path)).is_file() and path.stat().st_size <= MOST_BYTES:
            finding = too_few(measure, len(read_documents(path, source.field)), "documents")
            if finding is not None:
                yield ("fitness", name, "items" if measure.items else "text"), finding


def _stacks(stage: object) -> bool:
    return (isinstance(stage, MergeStage) and stage.slices is not None) or (isinstance(stage, EvolveStage) and stage.stacks)


def too_few(measure: Measure, number: int, what: str) -> str | None:
    """What is wrong where the search asks so many of `number` items that none is left to be held out, or none at all; None where it is well."""
    wanted = measure.items or number // 2
    if 0 < wanted <= number - FEWEST_HELD_OUT:
        return None
    rule = f"some must be asked, and at least {FEWEST_HELD_OUT} held out"
    return f"{measure.text or measure.benchmark} has {number} {what}, and the search is to ask {wanted} of them; {rule}"


def _layers(stage: EvolveStage, base: Base) -> int | None:
    """Of the models that are merged, which have as many each; None where nothing says so."""
    folders: list[str | None] = [model.path for model in stage.models.values() if model.path is not None] or [base.path]
    if folders[0] is not None:
        return from_folder(Path(folders[0])).num_layers
    return KNOWN[base.model].num_layers if base.model in KNOWN else None
