"""A merge becomes a plain model folder, or that of a vision-language model with another language part."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from torch import Tensor

from jp_adapt.commands.merge_parents import OpenModel
from jp_adapt.commands.merge_plan import MergePlan
from jp_adapt.commands.merge_record import ROWS, MergeRecord, merge_record
from jp_adapt.core.files import write_json, write_text
from jp_adapt.core.progress import Advance, progress
from jp_adapt.merging.checkpoint import write_weights
from jp_adapt.merging.config import merged_config
from jp_adapt.merging.merge import merged_tensors
from jp_adapt.merging.table import METHODS
from jp_adapt.model.vision import copy_image_side, with_language, with_token_ids
from jp_adapt.recipe.merge import MergeSettings
from jp_adapt.tokenizer.save import copy_tokenizer


def write_model(target: Path, models: Mapping[str, OpenModel], merge: MergeSettings, plan: MergePlan) -> MergeRecord:
    """Merge tensor by tensor into `target`: safetensors, configuration, tokenizer, and what models got for rows that they lacked. Returns the record.

    Of a vision-language model all tensors outside of the language part are written as they are.
    """
    merged = merged_tensors(METHODS[merge.method], plan.jobs, plan.parents, base=merge.base, seed=merge.seed, alignment=plan.alignment)
    infos, tensors = {job.place.name: job.info for job in plan.jobs}, iter(merged)
    vision = None if plan.into is None else plan.into.vision
    if vision is not None:
        infos = {vision.part.file_name(name): info for name, info in infos.items()} | {name: vision.weights.tensors[name] for name in vision.kept}
        tensors = chain(merged, map(vision.weights.read, vision.kept))
    with progress("merging", len(infos)) as advance:
        write_weights(target, infos, _counted(tensors, advance), shard_bytes=merge.shard_bytes)
    record = merge_record(merge, models, plan)
    write_json(target / "config.json", _config(models, plan, record))
    if plan.into is not None:
        copy_image_side(plan.into.folder, target)
    if plan.alignment is not None:
        tokenizer = models[plan.alignment.output].tokenizer
        assert tokenizer is not None
        copy_tokenizer(tokenizer, target)
        if any(plan.alignment.fills.values()):
            write_text(target / ROWS, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in plan.alignment.records()))
    return record


def _config(models: Mapping[str, OpenModel], plan: MergePlan, record: MergeRecord) -> dict[str, Any]:
    if plan.into is None or plan.into.vision is None:
        return merged_config(models[record.config].config, rows=record.vocab_size, layers=record.layers, tied=record.tied_head, dtype=record.dtype)
    name, vision, rows = plan.into.name, plan.into.vision, record.vocab_size - plan.rows_without_head
    config = with_language(vision.config, vision.part, rows=rows, layers=record.layers, tied=record.tied_head, dtype=record.dtype)
    if plan.alignment is None or plan.alignment.in_order(name):
        return config
    new_ids = {old: new for new, old in enumerate(plan.alignment.rows[name])}
    return with_token_ids(config, new_ids, f"'{name}'")


def _counted(tensors: Iterable[Tensor], advance: Advance) -> Iterator[Tensor]:
    for number, tensor in enumerate(tensors, start=1):
        yield tensor
        advance(number, "tensors")
