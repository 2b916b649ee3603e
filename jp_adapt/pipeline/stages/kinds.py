"""Which function does a stage of each kind."""

from __future__ import annotations

from importlib import import_module

from jp_adapt.pipeline.stages.context import Context, Results
from jp_adapt.recipe.schema import Stage

# kind: (module beside this one, function). A module is imported when a stage of its kind runs, so that no other kind pays for torch.
RUNNERS = {
    "tokenizer": ("tokenizer", "run_tokenizer"),
    "rows": ("training", "run_training"),
    "pretrain": ("training", "run_training"),
    "sft": ("training", "run_training"),
    "preference": ("preference", "run_preference"),
    "export": ("export", "run_export"),
    "merge": ("merge", "run_merge"),
    "evolve": ("evolve", "run_evolve"),
    "evaluate": ("evaluate", "run_evaluate"),
}


def run_stage(stage: Stage, context: Context) -> Results:
    """Do one stage; its folder has a `final` afterwards. Returns figures for stage.json."""
    module, function = RUNNERS[stage.kind]
    results: Results = getattr(import_module(f"jp_adapt.pipeline.stages.{module}"), function)(stage, context, context.stage_folder(stage.id))
    return results
