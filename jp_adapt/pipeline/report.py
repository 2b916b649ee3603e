"""The report of a run: one page, its figures as JSON, its curves as SVG files, and a table for the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jp_adapt.core.errors import JpAdaptError
from jp_adapt.core.files import read_json, write_json, write_text
from jp_adapt.pipeline.run_folder import RunFolder, resolved_recipe
from jp_adapt.recipe.schema import Recipe

HEADLINE = {
    "chars_per_token": "characters per token, Japanese",
    "bits_per_char_ja": "bits per character, held-out Japanese",
    "bits_per_byte_en": "bits per byte, held-out English",
}


def write_report(folder: RunFolder, recipe: Recipe, *, fresh: bool) -> dict[str, Any]:
    """Write `report/` unless it is there and nothing new was done. Comes back: the summary."""
    report = folder.path / "report"
    if not fresh and (report / "summary.json").is_file():
        return dict(read_json(report / "summary.json"))
    from jp_adapt.pipeline.report_charts import charts
    from jp_adapt.pipeline.report_page import render
    from jp_adapt.pipeline.summary import build_summary

    summary = build_summary(folder, recipe)
    for name, svg in charts(summary).items():
        write_text(report / f"{name}.svg", svg)
    write_text(report / "index.html", render(summary))
    write_json(report / "summary.json", summary)
    return summary


def headline_table(summary: dict[str, Any]) -> str:
    """The three figures and the benchmarks as lines of text."""
    rows = [("", "base", "adapted", "change")]
    for key, title in HEADLINE.items():
        base, adapted = (summary["headline"][key][role] for role in ("base", "adapted"))
        if base is not None and adapted is not None:
            rows.append((title, f"{base:.3f}", f"{adapted:.3f}", f"{(adapted / base - 1) * 100:+.1f} %"))
    for entry in summary["benchmarks"]:
        if entry.get("difference", {}).get("interval") is not None:
            low, high = entry["difference"]["interval"]
            chance = f", chance {entry['chance']:.2f}" if entry["chance"] is not None else ""
            rows.append(
                (
                    f"{entry['id']} {entry['metric']}",
                    f"{entry['base']['value']:.3f}",
                    f"{entry['adapted']['value']:.3f}",
                    f"{entry['difference']['value']:+.3f} [{low:+.3f}, {high:+.3f}]{chance}",
                )
            )
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}".rstrip() for row in rows)


def rebuild_report(path: Path) -> dict[str, Any]:
    """Write the report of a run again. InputError when `path` is no run folder, JpAdaptError while a stage is not done."""
    recipe = Recipe.model_validate(resolved_recipe(path))
    folder = RunFolder(path)
    waiting = [stage.id for stage in recipe.stages if not folder.stage(stage.id).done]
    if waiting:
        raise JpAdaptError(f"{path}: not finished yet ({', '.join(waiting)}); run the recipe again, it goes on from there")
    return write_report(folder, recipe, fresh=True)
