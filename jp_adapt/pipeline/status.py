"""How far a run is, read from its folder alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jp_adapt.pipeline.run_folder import RunFolder, resolved_recipe


def run_status(path: Path) -> list[dict[str, Any]]:
    """One entry a stage, in order: id, kind, state ("done", "begun" or "waiting"), the last step written, and seconds taken."""
    folder = RunFolder(path)
    stages = [{"id": "base", "kind": "base"}] if folder.stage("base").path.is_dir() else []
    stages += resolved_recipe(path)["stages"]
    entries = []
    for stage in stages:
        here = folder.stage(stage["id"])
        metrics = here.read_metrics()
        entries.append(
            {
                "id": stage["id"],
                "kind": stage["kind"],
                "state": "done" if here.done else "begun" if here.path.is_dir() else "waiting",
                "step": metrics[-1]["step"] if metrics else None,
                "elapsed_s": here.record().get("elapsed_s"),
            }
        )
    return entries
