"""The report of a run: one page, its figures as JSON, its curves as SVG files, and a table for the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jp_adapt.core.errors import JpAdaptError
from jp_adapt.core.files import read_json, write_json, write_text
from jp_adapt.pipeline.run_folder import RunFolder, resolved_recipe
from jp_adapt.recipe.schema import Recipe


def write_report(folder: RunFolder, recipe: Recipe, *, fresh: bool) -> dict[str, Any]:
    """Write `report/` unless it is there and nothing new was done. Comes back: the summary."""
    report = folder.path / "report"
    if not fresh and (report / "summary.json").is_file():
        return dict(read_json(report / "summary.json"))
    from jp_adapt.pipeline.summary import build_summary
    from jp_adapt.report.run_charts import charts
    from jp_adapt.report.run_page import render

    summary = build_summary(folder, recipe)
    for name, svg in charts(summary).items():
        write_text(report / f"{name}.svg", svg)
    write_text(report / "index.html", render(summary))
    write_json(report / "summary.json", summary)
    return summary


def rebuild_report(path: Path) -> dict[str, Any]:
    """Write the report of a run again. InputError when `path` is no run folder, JpAdaptError while a stage is not done."""
    recipe = Recipe.model_validate(resolved_recipe(path))
    folder = RunFolder(path)
    waiting = [stage.id for stage in recipe.stages if not folder.stage(stage.id).done]
    if waiting:
        raise JpAdaptError(f"{path}: not finished yet ({', '.join(waiting)}); run the recipe again, it goes on from there")
    return write_report(folder, recipe, fresh=True)
