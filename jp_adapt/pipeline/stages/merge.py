"""The merge stage: what earlier stages made, and model folders, become one model folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from jp_adapt.commands.merge import merge_into
from jp_adapt.pipeline.run_folder import StageFolder
from jp_adapt.pipeline.stages.context import Context
from jp_adapt.recipe.schema import MergeStage, StageModel


def run_merge(stage: MergeStage, context: Context, folder: StageFolder) -> dict[str, Any]:
    """Merge into a plain folder with its tokenizer; the card quotes the stage as the recipe resolves it."""
    folders = {name: model_folders(model, context) for name, model in stage.models.items()}
    text = yaml.safe_dump(stage.model_dump(mode="json", by_alias=True, exclude_unset=True), sort_keys=False, allow_unicode=True, width=160)
    title = f"{context.recipe.name}, stage {stage.id}"
    start, end = context.document_start, context.document_end
    record = merge_into(folder.final, folders, stage, stage.models, title=title, text=text, document_start=start, document_end=end).record
    return {key: getattr(record, key) for key in ("method", "parameters", "vocab_size", "dtype", "rows_filled")}


def model_folders(model: StageModel, context: Context) -> tuple[Path, Path | None]:
    """The folder of a model, and that of the adapter on it, if it is one."""
    if model.start is None:
        return (context.base if model.path is None else Path(model.path)), (None if model.adapter is None else Path(model.adapter))
    if model.start != "base" and context.stage(model.start).gives == "adapter":
        return context.base, context.stage_folder(model.start).final
    return context.model_folder(model.start), None
