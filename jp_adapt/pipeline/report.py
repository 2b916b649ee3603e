"""The report of a run: one page, its figures as JSON, its curves as SVG files, and a table for the terminal."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.core.files import write_text
from jp_adapt.core.progress import say
from jp_adapt.pipeline.run_folder import RunFolder, resolved_recipe
from jp_adapt.pipeline.summary import build_summary
from jp_adapt.recipe.schema import Recipe
from jp_adapt.report.run_charts import charts
from jp_adapt.report.run_page import render
from jp_adapt.report.run_summary import SUMMARY, RunSummary, read_control


def write_report(folder: RunFolder, recipe: Recipe, *, fresh: bool) -> RunSummary:
    """Write `report/` unless it is there, of this version, and nothing new was done. Comes back: the summary."""
    report = folder.path / "report"
    summary: RunSummary | None
    if not fresh and (report / SUMMARY).is_file():
        try:
            summary = RunSummary.read(report / SUMMARY)
        except InputError:  # of another version: it is made from what the stages wrote, and can be made again
            summary = None
        if summary is not None and not summary.waiting:
            return summary
    summary = build_summary(folder, recipe, None if recipe.control is None else read_control(Path(recipe.control)))
    for name, svg in charts(summary).items():
        write_text(report / f"{name}.svg", svg)
    write_text(report / "index.html", render(summary))
    summary.write(report / SUMMARY)
    return summary


def rebuild_report(path: str | Path, control: str | Path | None = None) -> RunSummary:
    """Write the report of a run again, of what is finished, beside the run `control` (by default the recipe's).

    Raises:
        UsageError: the run is its own control. InputError: `path` is not a run folder.
    """
    path = Path(path)
    if control is not None and Path(control).resolve() in (path.resolve(), path.resolve() / "report" / SUMMARY):
        raise UsageError(f"--control {control}: is the run itself; give another run, with another setting")
    try:
        recipe = Recipe.model_validate(resolved_recipe(path))
    except ValidationError as error:
        keys = ", ".join(".".join(map(str, detail["loc"])) for detail in error.errors()[:3])
        raise InputError(f"{path / 'resolved.yaml'}: not a recipe of this version of jp-adapt ({keys}); run the recipe again with another --out") from error
    if control is not None:
        recipe = recipe.model_copy(update={"control": str(control)})
    elif recipe.control is not None and not Path(recipe.control).exists():
        say(f"note: the recipe's control is no longer there ({recipe.control}); the report goes without it")
        recipe = recipe.model_copy(update={"control": None})
    return write_report(RunFolder(path), recipe, fresh=True)
