"""What is written of a merge beside its weights: the record `merge.json`, and the lines of the card."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from jp_adapt.core.documents import Document
from jp_adapt.merging.table import METHODS
from jp_adapt.recipe.merge import MergeSettings

if TYPE_CHECKING:
    from jp_adapt.commands.merge_parents import OpenModel
    from jp_adapt.commands.merge_plan import MergePlan

RECORD, ROWS = "merge.json", "rows.jsonl"


@dataclass(frozen=True)
class MergedModel:
    """A model that was merged, by the names of its folders."""

    folder: str
    adapter: str | None


@dataclass(frozen=True)
class MergeRecord(Document):
    """`merge.json`: what was merged how.

    Attributes:
        written: "model" or "adapter".
        dtype: of most tensors.
        rank: of a merged adapter.
        tokenizer: the model whose tokenizer was kept; None where no model has one.
        config: the model whose configuration was kept.
        rows_filled: model -> rows of the vocabulary that it lacked; `rows.jsonl` says what it got for each.
        tokens_dropped: model -> tokens that the kept tokenizer lacks.
        assumed_tokenizer: models without a tokenizer of their own, taken to have that of the base or of the first model.
        into: the vision-language model whose other tensors, `tensors_kept` of them, were written as they are.
    """

    WHAT: ClassVar[str] = "a record of a merge"
    WAY_OUT: ClassVar[str] = "merge again with this version"

    format: int
    method: str
    base: str | None
    seed: int
    models: dict[str, MergedModel]
    written: str
    arithmetic: str
    dtype: str
    tensors_by_dtype: dict[str, int]
    parameters: int
    layers: int
    tied_head: bool
    vocab_size: int
    tokenizer: str | None
    config: str
    rows_filled: dict[str, int]
    tokens_dropped: dict[str, int]
    assumed_tokenizer: list[str]
    rank: int | None = None
    into: str | None = None
    tensors_kept: int = 0


@dataclass(frozen=True)
class MergeResult:
    """The folder that was written, and what is to be known of it."""

    folder: Path
    record: MergeRecord


def merge_record(merge: MergeSettings, models: Mapping[str, OpenModel], plan: MergePlan) -> MergeRecord:
    """The record of a merge into a model."""
    from jp_adapt.merging.plan import HEAD

    jobs, alignment, into = plan.jobs, plan.alignment, plan.into
    taken = {name for job in jobs for name in job.sources} | ({into.name} if into is not None else set())
    types = Counter(str(job.info.dtype).removeprefix("torch.") for job in jobs)
    return MergeRecord(
        format=MergeRecord.FORMAT,
        method=merge.method,
        base=merge.base,
        seed=merge.seed,
        models={name: MergedModel(model.folder.name, model.adapter.folder.name if model.adapter else None) for name, model in models.items() if name in taken},
        written="model",
        arithmetic="float32",
        dtype=types.most_common(1)[0][0],
        tensors_by_dtype=dict(types),
        parameters=sum(math.prod(job.info.shape) for job in jobs),
        layers=1 + max((job.place.layer for job in jobs if job.place.layer is not None), default=-1),
        tied_head=all(job.place.name != HEAD for job in jobs),
        vocab_size=jobs[0].info.shape[0],
        tokenizer=alignment.output if alignment is not None else None,
        config=merge.config or merge.base or next(iter(models)) if into is None else into.name,
        rows_filled={name: len(fills) for name, fills in alignment.fills.items()} if alignment is not None else {},
        tokens_dropped={name: len(tokens) for name, tokens in alignment.dropped.items()} if alignment is not None else {},
        assumed_tokenizer=[name for name, model in models.items() if model.tokenizer is None] if alignment is not None else [],
        into=None if into is None else into.name,
        tensors_kept=0 if into is None or into.vision is None else len(into.vision.kept),
    )


def card_facts(record: MergeRecord, text: str) -> list[str]:
    """Lines of the card; the recipe word for word."""
    method = METHODS[record.method]
    names = ", ".join(f"`{name}` ({entry.folder}{' with ' + entry.adapter if entry.adapter else ''})" for name, entry in record.models.items())
    lines = [f"- merged by {method.title} ({method.paper}) from {names}" + (f"; base `{record.base}`" if record.base else "")]
    lines += [f"- computed in {record.arithmetic}, written in {record.dtype}"]
    if record.into is not None:
        lines += [f"- the language part alone was merged: vision tower, projector and whatever else sees are those of `{record.into}`, byte for byte"]
    lines += [f"- `{name}` lacked {count:,} rows of the vocabulary: {ROWS} says what it got for each" for name, count in record.rows_filled.items() if count]
    dropped = {name: count for name, count in record.tokens_dropped.items() if count}
    lines += [f"- {count:,} tokens of `{name}` are not in the tokenizer of `{record.tokenizer}` and were dropped" for name, count in dropped.items()]
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    licence = "The licences of all these models hold for this one too. It was not tested for safety."
    return [*lines, "", "The recipe:", "", f"{fence}yaml", text.rstrip("\n"), fence, "", licence]
