"""How far a run is, read from its folder alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jp_adapt.pipeline.run_folder import RunFolder, resolved_recipe


@dataclass(frozen=True)
class StageStatus:
    """How far a stage is: the last step that it wrote, and the seconds that it took."""

    id: str
    kind: str
    state: Literal["done", "begun", "waiting"]
    step: int | None
    elapsed_s: float | None


def run_status(path: Path) -> list[StageStatus]:
    """The stages of a run in order. InputError when `path` is not a run folder."""
    folder = RunFolder(path)
    stages = [(stage["id"], stage["kind"]) for stage in resolved_recipe(path)["stages"]]
    if folder.stage("base").path.is_dir():
        stages.insert(0, ("base", "base"))
    return [_status(folder, *stage) for stage in stages]


def _status(folder: RunFolder, stage_id: str, kind: str) -> StageStatus:
    stage = folder.stage(stage_id)
    metrics, record = stage.read_metrics(), stage.record()
    state: Literal["done", "begun", "waiting"] = "done" if stage.done else "begun" if stage.path.is_dir() else "waiting"
    return StageStatus(stage_id, kind, state, metrics[-1]["step"] if metrics else None, record.elapsed_s if record else None)
