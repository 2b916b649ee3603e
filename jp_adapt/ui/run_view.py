"""A run for the page: its stages, its settings beside the defaults, its figures, the texts that it wrote on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from jp_adapt.core.errors import InputError
from jp_adapt.pipeline.run_folder import RunFolder, resolved_recipe, run_record
from jp_adapt.pipeline.status import run_state, run_status
from jp_adapt.recipe.schema import Recipe
from jp_adapt.report.run_summary import EVALUATION, StageEvaluation
from jp_adapt.report.training_samples import read_samples
from jp_adapt.tokenizer.save import EXTENSION
from jp_adapt.ui.curves import MetricsTail, columns, thinned
from jp_adapt.ui.listing import LONGEST_NAME

MOST_SAMPLES = 500
LONGEST = 4000  # characters of a text


def run_view(path: Path) -> dict[str, Any]:
    """Everything of a run but its curves. What one document lacks, or has wrong, is told in `problems`; the others are shown."""
    record = run_record(path)
    problems: list[str] = []

    def tried(read: Callable[[], Any], otherwise: Any) -> Any:
        try:
            return read()
        except InputError as error:
            problems.append(str(error).replace(f"{path}/", ""))
            return otherwise

    stages = tried(lambda: run_status(path), [])
    recipe = tried(lambda: resolved_recipe(path), {"stages": []})
    ids = [stage["id"] for stage in recipe["stages"]]
    return {
        "name": record.name[:LONGEST_NAME],
        "created": record.created,
        "version": record.jp_adapt,
        "recipe": record.recipe,
        "command": record.command,
        "state": run_state(stages),
        "stages": [asdict(stage) for stage in stages],
        "settings": settings(recipe),
        "samples": [{"stage": name, **sample} for name in ids for sample in tried(partial(_samples, path, name), [])],
        "evaluations": [{"stage": name, **found} for name in ids if (found := tried(partial(_evaluation, path, name), None)) is not None],
        "curves": [stage.id for stage in stages if RunFolder(path).stage(stage.id).metrics.is_file()],
        "problems": list(dict.fromkeys(problems)),
    }


def run_curves(path: Path) -> dict[str, Any]:
    """Stage -> columns of its metrics, thinned where they are long."""
    folder = RunFolder(path)
    results = {}
    for stage in run_status(path):
        _, lines = MetricsTail(folder.stage(stage.id).metrics).new()
        if lines:
            results[stage.id] = columns(thinned(lines))
    return results


def run_samples(path: Path) -> list[dict[str, Any]]:
    """The samples of a run's training stages in the order of `run_view`."""
    return [{"stage": stage["id"], **sample} for stage in resolved_recipe(path)["stages"] for sample in _samples(path, stage["id"])]


def run_tokenizer(path: Path) -> Path | None:
    """The folder of the tokenizer that a run extended; None where it has none yet."""
    made = [RunFolder(path).stage(stage["id"]) for stage in resolved_recipe(path)["stages"] if stage["kind"] == "tokenizer"]
    return made[0].final if made and made[0].done and (made[0].final / EXTENSION).is_file() else None


def settings(recipe: dict[str, Any]) -> list[dict[str, Any]]:
    """Every setting that is not the default of its recipe's schema, as (key, value); all of them where the recipe is of another version."""
    try:
        changed = Recipe.model_validate(recipe).model_dump(mode="json", exclude_defaults=True)
    except ValidationError:
        changed = recipe
    return [{"key": key, "value": value} for key, value in flat(changed).items() if key != "format"]


def flat(value: Any, key: str = "") -> dict[str, Any]:
    """A tree of settings as dotted keys; stages go by their ids."""
    if isinstance(value, dict) and value:
        return {name: one for part, inner in value.items() for name, one in flat(inner, f"{key}.{part}" if key else str(part)).items()}
    if isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value):
        named = {str(entry.get("id", number)): {part: inner for part, inner in entry.items() if part != "id"} for number, entry in enumerate(value)}
        return flat(named, key)
    return {key: value}


def different_settings(recipes: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The settings that are not the same in all runs, with the value of each; None where a run has none."""
    flats = {name: flat(recipe) for name, recipe in recipes.items()}
    keys = dict.fromkeys(key for one in flats.values() for key in one)
    rows = [{"key": key, "values": [one.get(key) for one in flats.values()]} for key in keys if key != "name"]
    return [row for row in rows if any(value != row["values"][0] for value in row["values"])]


def _samples(path: Path, stage: str) -> list[dict[str, Any]]:
    samples = read_samples(RunFolder(path).stage(stage).path)[-MOST_SAMPLES:]
    return [{"step": sample.step, "prompt": sample.prompt[:LONGEST], "text": sample.text[:LONGEST]} for sample in samples]


def _evaluation(path: Path, stage: str) -> dict[str, Any] | None:
    """What an evaluate stage measured, and where the items of each model lie."""
    final = RunFolder(path).stage(stage).final
    if not (final / EVALUATION).is_file():
        return None
    found = StageEvaluation.read(final / EVALUATION).as_dict()
    for entry in found["benchmarks"]:
        if entry["comparison"] is not None:
            entry["comparison"] = {key: value for key, value in entry["comparison"].items() if key not in ("gained", "lost")}
    return found | {"items": [(Path("stages") / stage / "final" / role).as_posix() for role in ("base", "adapted") if (final / role).is_dir()]}
