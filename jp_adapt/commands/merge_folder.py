"""A merge becomes a plain model folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

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
from jp_adapt.recipe.merge import MergeSettings
from jp_adapt.tokenizer.save import copy_tokenizer


def write_model(target: Path, models: Mapping[str, OpenModel], merge: MergeSettings, plan: MergePlan) -> MergeRecord:
    """Merge tensor by tensor into `target`: safetensors, configuration, tokenizer, and what models got for rows that they lacked. Returns the record."""
    tensors = merged_tensors(METHODS[merge.method], plan.jobs, plan.parents, base=merge.base, seed=merge.seed, alignment=plan.alignment)
    with progress("merging", len(plan.jobs)) as advance:
        write_weights(target, {job.place.name: job.info for job in plan.jobs}, _counted(tensors, advance), shard_bytes=merge.shard_bytes)
    record = merge_record(merge, models, plan)
    config = models[record.config].config
    write_json(target / "config.json", merged_config(config, rows=record.vocab_size, layers=record.layers, tied=record.tied_head, dtype=record.dtype))
    if plan.alignment is not None:
        tokenizer = models[plan.alignment.output].tokenizer
        assert tokenizer is not None
        copy_tokenizer(tokenizer, target)
        if any(plan.alignment.fills.values()):
            write_text(target / ROWS, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in plan.alignment.records()))
    return record


def _counted(tensors: Iterable[Tensor], advance: Advance) -> Iterator[Tensor]:
    for number, tensor in enumerate(tensors, start=1):
        yield tensor
        advance(number, "tensors")
