"""What is written of a merge beside its weights: the record `merge.json`, and the lines of the card."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jp_adapt.merging.table import METHODS
from jp_adapt.recipe.merge import MergeSettings

if TYPE_CHECKING:
    from jp_adapt.commands.merge_parents import OpenModel
    from jp_adapt.commands.merge_plan import MergePlan

RECORD, ROWS = "merge.json", "rows.jsonl"


@dataclass(frozen=True)
class MergeResult:
    """The folder that was written, and what is to be known of it: the document `merge.json`."""

    folder: Path
    record: dict[str, Any]


def merge_record(merge: MergeSettings, models: Mapping[str, OpenModel], plan: MergePlan) -> dict[str, Any]:
    """What `merge.json` says."""
    from jp_adapt.merging.plan import HEAD

    jobs, alignment = plan.jobs, plan.alignment
    types = Counter(str(job.info.dtype).removeprefix("torch.") for job in jobs)
    leading = merge.base or next(iter(models))
    record: dict[str, Any] = {
        "format": 1,
        "method": merge.method,
        "base": merge.base,
        "seed": merge.seed,
        "models": {name: {"folder": model.folder.name} | ({"adapter": model.adapter.folder.name} if model.adapter else {}) for name, model in models.items()},
        "arithmetic": "float32",
        "dtype": types.most_common(1)[0][0],
        "tensors_by_dtype": dict(types),
        "parameters": sum(math.prod(job.info.shape) for job in jobs),
        "layers": 1 + max((job.place.layer for job in jobs if job.place.layer is not None), default=-1),
        "tied_head": all(job.place.name != HEAD for job in jobs),
        "vocab_size": jobs[0].info.shape[0],
        "tokenizer": alignment.output if alignment is not None else None,
        "config": merge.config or leading,
    }
    if alignment is not None:
        record["rows_filled"] = {name: len(fills) for name, fills in alignment.fills.items()}
        record["tokens_dropped"] = {name: len(tokens) for name, tokens in alignment.dropped.items()}
        record["assumed_tokenizer"] = [name for name, model in models.items() if model.tokenizer is None]
    return record


def card_facts(record: Mapping[str, Any], text: str) -> list[str]:
    """Lines of the card; the recipe word for word."""
    method = METHODS[record["method"]]
    names = ", ".join(f"`{name}` ({one['folder']}{' with ' + one['adapter'] if 'adapter' in one else ''})" for name, one in record["models"].items())
    lines = [f"- merged by {method.title} ({method.paper}) from {names}" + (f"; base `{record['base']}`" if record["base"] else "")]
    lines += [f"- computed in {record['arithmetic']}, written in {record['dtype']}"]
    filled = {name: count for name, count in record.get("rows_filled", {}).items() if count}
    lines += [f"- `{name}` lacked {count:,} rows of the vocabulary: {ROWS} says what it got for each" for name, count in filled.items()]
    dropped = {name: count for name, count in record.get("tokens_dropped", {}).items() if count}
    lines += [f"- {count:,} tokens of `{name}` are not in the tokenizer of `{record['tokenizer']}` and were dropped" for name, count in dropped.items()]
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return [
        *lines,
        "",
        "The recipe:",
        "",
        f"{fence}yaml",
        text.rstrip("\n"),
        fence,
        "",
        "The licences of all these models hold for this one too. It was not tested for safety.",
    ]
