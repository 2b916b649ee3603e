"""The report of a run: one page, its figures as JSON, its curves as SVG files, and a table for the terminal."""

from __future__ import annotations

from dataclasses import replace
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
from jp_adapt.report.run_summary import SUMMARY, Control, RunSummary, check_control, read_control

NO_CONTROL = "none"


def write_report(folder: RunFolder, recipe: Recipe, *, fresh: bool, control: str | Path | None = None) -> RunSummary:
    """Write `report/` unless it is there, of this version, and nothing new was done. Comes back: the summary. `control`: see `rebuild_report`."""
    report = folder.path / "report"
    try:
        before = RunSummary.read(report / SUMMARY)
    except InputError:  # none yet, or of another version: it is made from what the stages wrote, and can be made again
        before = None
    if not fresh and before is not None and not before.waiting:
        return before
    summary = build_summary(folder, recipe)
    summary = replace(summary, control=_control(summary, recipe, before.control if before is not None else None, control))
    for name, svg in charts(summary).items():
        write_text(report / f"{name}.svg", svg)
    write_text(report / "index.html", render(summary))
    summary.write(report / SUMMARY)
    return summary


def _control(summary: RunSummary, recipe: Recipe, before: Control | None, given: str | Path | None) -> Control | None:
    if str(given) == NO_CONTROL:
        return None
    try:
        named = given if given is not None else recipe.control
        control = before if given is None and before is not None else read_control(Path(named)) if named is not None else None
        unknown = check_control(summary, control) if control is not None else []
    except InputError as error:
        if given is not None:
            raise
        say(f"note: {error}; the report goes without it")
        return None
    if control is not None and unknown:
        say(f"note: that control {control.name} has the same {', '.join(unknown)} was not checked: an earlier version wrote one of the two")
    return control


def rebuild_report(path: str | Path, control: str | Path | None = None) -> RunSummary:
    """Write the report of a run again, of what is finished, beside the run `control`: its folder or summary.json, or "none". By default the one that stands
    in the report, else the recipe's; one of these that does not fit is left out, and that is said.

    Raises:
        UsageError: the run is its own control. InputError: `path` is not a run folder; `control` has another base or other held-out texts.
    """
    path = Path(path)
    if control is not None and Path(control).resolve() in (path.resolve(), path.resolve() / "report" / SUMMARY):
        raise UsageError(f"--control {control}: is the run itself; give another run, with another setting")
    try:
        recipe = Recipe.model_validate(resolved_recipe(path))
    except ValidationError as error:
        keys = ", ".join(".".join(map(str, detail["loc"])) for detail in error.errors()[:3])
        raise InputError(f"{path / 'resolved.yaml'}: not a recipe of this version of jp-adapt ({keys}); run the recipe again with another --out") from error
    return write_report(RunFolder(path), recipe, fresh=True, control=control)
