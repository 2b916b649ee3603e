"""The evolve stage: the merge whose weights were found by a search becomes one model folder."""

from __future__ import annotations

import shutil
from typing import Any

from jp_adapt.commands.evolve import EvolveTask, evolve
from jp_adapt.pipeline.run_folder import StageFolder
from jp_adapt.pipeline.stages.context import Context
from jp_adapt.pipeline.stages.merge import model_folders
from jp_adapt.recipe.schema import EvolveStage


def measuring_precision(precision: str) -> str:
    """In what candidates are measured: float32, unless the recipe says otherwise.

    In bfloat16 the loss of a merge is no smooth function of its weights. The first token of a text has hidden states of 16,000 in SmolLM2-135M, which rounding
    moves by a tenth from one candidate to the next, and with them the loss of all items by up to 40 % (docs/log.md, 2026-11-30).
    """
    return "float32" if precision == "auto" else precision


def run_evolve(stage: EvolveStage, context: Context, folder: StageFolder) -> dict[str, Any]:
    """Search and merge; journals lie in `work` while it goes on, and beside the model's record afterwards."""
    work = folder.path / "work"
    task = EvolveTask(
        name=f"{context.recipe.name}, stage {stage.id}",
        folders={name: model_folders(model, context) for name, model in stage.models.items()},
        merge=stage,
        models=stage.models,
        texts={measure.text: context.documents(measure.text, "heldout") for measure in stage.fitness.values() if measure.text is not None},
        seed=context.recipe.seed,
        precision=measuring_precision(context.recipe.precision),
        document_start=context.document_start,
        document_end=context.document_end,
    )
    evolution = evolve(task, folder.final, work)
    shutil.rmtree(work / "start", ignore_errors=True)
    return {"method": evolution.method, "evaluations": evolution.evaluations, "best_parent": evolution.best_parent, "verdict": evolution.verdict}
