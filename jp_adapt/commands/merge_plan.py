"""What a merge will do: which layers, whose rows, which tensors with which parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from jp_adapt.commands.merge_parents import OpenModel
from jp_adapt.core.errors import InputError
from jp_adapt.merging.config import check_configs
from jp_adapt.merging.plan import Job, Parent, Settings, Slice, ends, plan, whole_models
from jp_adapt.merging.table import METHODS
from jp_adapt.merging.vocabulary import Alignment, align
from jp_adapt.recipe.merge import MergeSettings, ModelSettings


@dataclass(frozen=True)
class MergePlan:
    """A merge before anything is computed.

    Attributes:
        rows: of the embedding; the head lacks the last `rows_without_head`.
        alignment: None where no model has a tokenizer.
        into: the vision-language model whose language part is written anew; None where a plain model is written.
    """

    parents: dict[str, Parent]
    slices: list[Slice]
    rows: int
    alignment: Alignment | None
    jobs: list[Job]
    into: OpenModel | None = None
    rows_without_head: int = 0

    def with_settings(self, merge: MergeSettings, settings: Mapping[str, Settings]) -> list[Job]:
        """The jobs of the same merge with other parameters of the models. UsageError as of `plan_merge`."""
        return plan(
            METHODS[merge.method],
            self.parents,
            self.slices,
            base=merge.base,
            rows=self.rows,
            settings=settings,
            shared=merge.shared(),
            dtype=None if merge.dtype is None else getattr(torch, merge.dtype),
            rows_without_head=self.rows_without_head,
            around=merge.around,
        )


def plan_merge(models: Mapping[str, OpenModel], merge: MergeSettings, settings: Mapping[str, ModelSettings]) -> MergePlan:
    """Plan a merge of opened models.

    Raises:
        InputError: the models do not match. UsageError: a parameter is missing for a tensor, or a slice has layers that a model lacks.
    """
    check_configs({name: model.config for name, model in models.items()}, merge.config)
    parents = {name: model.parent for name, model in models.items()}
    slices = _slices(merge, parents)
    alignment = _alignment(merge, models, slices)
    rows = len(alignment.names) if alignment is not None else next(iter(models.values())).rows
    leading = alignment.output if alignment is not None else next(iter(models))
    planned = MergePlan(parents, slices, rows, alignment, [], _into(merge, models, slices), parents[leading].rows_without_head)
    return replace(planned, jobs=planned.with_settings(merge, {name: entry.given() for name, entry in settings.items()}))


def _into(merge: MergeSettings, models: Mapping[str, OpenModel], slices: Sequence[Slice]) -> OpenModel | None:
    """The vision-language model that the merged language part is put into: the one that is named, the base, or the first. None: a plain model is written."""
    seeing = [name for name, model in models.items() if model.vision is not None and not model.vision.part.own_code]
    if merge.into is not None and merge.into not in seeing:
        ones = f"; {', '.join(seeing)} can be" if seeing else ""
        raise InputError(f"into: '{merge.into}' is no vision-language model that transformers has the code of{ones}")
    name = merge.into or (merge.base if merge.base in seeing else next(iter(seeing), None))
    if name is None:
        return None
    model = models[name]
    if merge.config not in (None, name):
        raise InputError(f"config: '{merge.config}', but '{name}' keeps its own configuration around the merged language part; take 'config' out")
    if model.vision is not None and model.vision.part.layers is not None and sum(entry.length for entry in slices) != model.parent.layers:
        raise InputError(f"'{name}' has cross-attention between its layers, which stays where it is: slices cannot change their number")
    return model


def _slices(merge: MergeSettings, parents: Mapping[str, Parent]) -> list[Slice]:
    if merge.slices is None:
        return whole_models(parents)
    return [
        Slice({name: entry.layers for name, entry in part.models.items()}, {name: entry.given() for name, entry in part.models.items()})
        for part in merge.slices
    ]


def _alignment(merge: MergeSettings, models: Mapping[str, OpenModel], slices: Sequence[Slice]) -> Alignment | None:
    """How the rows of the models come into one order; None where no model has a tokenizer."""
    known = {name: vocabulary for name, model in models.items() if (vocabulary := model.vocabulary) is not None}
    if not known:
        (first, rows), *others = ((name, model.rows) for name, model in models.items())
        if odd := next((entry for entry in others if entry[1] != rows), None):
            raise InputError(f"'{first}' has {rows:,} rows and '{odd[0]}' {odd[1]:,}, and no folder has a tokenizer that says which is which; put it there")
        return None
    leading = merge.base if merge.base in known else next(iter(known))
    for name, model in models.items():
        if name not in known and model.rows != known[leading].rows:
            raise InputError(
                f"'{name}' has no tokenizer in its folder, and {model.rows:,} rows where '{leading}' has {known[leading].rows:,}; put its tokenizer.json there"
            )
    alignment = align(
        {name: known.get(name, known[leading]) for name in models},
        base=merge.base,
        output=merge.tokenizer,
        policy=merge.rows,
        spell=lambda name, token: models[name].spell(token),
    )
    for part in ends(slices, merge.around):
        moved = [name for name in part.layers if not alignment.in_order(name)]
        if moved and set(part.layers) != set(models):
            raise InputError(
                f"'{moved[0]}' has another vocabulary than '{alignment.output}': its rows can be aligned only where the first and last slices merge all "
                "models, or where the model around the layers has that vocabulary (passthrough: around, tokenizer)"
            )
    return alignment
