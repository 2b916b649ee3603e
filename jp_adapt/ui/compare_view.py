"""Evaluations and runs beside each other for the page: scores of each, tests in pairs, settings that differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jp_adapt.core.errors import InputError
from jp_adapt.core.names import told_apart
from jp_adapt.evaluation.compare import compare_runs, load_runs, notes
from jp_adapt.evaluation.results import read_scores
from jp_adapt.pipeline.run_folder import resolved_recipe, run_record
from jp_adapt.ui.listing import LONGEST_NAME
from jp_adapt.ui.run_view import different_settings, run_curves


def scores_view(folders: Sequence[Path]) -> dict[str, Any]:
    """A table of models and benchmarks: the primary metric of each with its interval and chance level. Scores of different names stand in different rows."""
    scores = [read_scores(folder) for folder in folders]
    rows: dict[str, dict[str, Any]] = {}
    for at, one in enumerate(scores):
        for entry in one.benchmarks:
            row = rows.setdefault(
                entry.name, {"name": entry.name, "id": entry.id, "title": entry.title, "chance": entry.chance, "values": [None] * len(scores)}
            )
            row["values"][at] = {"value": entry.primary.value, "interval": entry.primary.interval, "items": entry.items, "warnings": entry.warnings}
    texts: dict[str, list[float | None]] = {}
    for at, one in enumerate(scores):
        for text in one.texts:
            texts.setdefault(text.id, [None] * len(scores))[at] = text.bits_per_char
    return {
        "names": told_apart([one.model_name[:LONGEST_NAME] for one in scores], [str(folder) for folder in folders]),
        "rows": list(rows.values()),
        "texts": [{"id": name, "values": values} for name, values in texts.items()],
    }


def tests_view(folders: Sequence[Path]) -> dict[str, Any]:
    """What `eval compare` says of evaluations, the first of which is the base."""
    report = compare_runs(load_runs(folders))
    pairs = [
        {
            "model": pair.model,
            "benchmarks": [{**{k: v for k, v in asdict(entry).items() if k not in ("gained", "lost")}, "notes": notes(entry)} for entry in pair.benchmarks],
            "only_in_one": pair.only_in_one,
        }
        for pair in report.pairs
    ]
    return {"base": report.models[0].name, "tests": report.tests, "level": report.level, "pairs": pairs}


def runs_view(folders: Sequence[Path]) -> dict[str, Any]:
    """Curves of runs, and the settings that differ. A run that cannot be read in part is shown as far as it goes."""
    names = told_apart([run_record(folder).name[:LONGEST_NAME] for folder in folders], [str(folder) for folder in folders])
    curves, recipes, problems = [], {}, []
    for name, folder in zip(names, folders, strict=True):
        try:
            recipes[name] = resolved_recipe(folder)
            curves.append(run_curves(folder))
        except InputError as error:
            problems.append(str(error).replace(f"{folder}/", f"{name}: "))
            curves.append({})
    return {"names": names, "curves": curves, "compared": list(recipes), "settings": different_settings(recipes), "problems": problems}
