"""The figures of training in TensorBoard, Weights & Biases or Trackio, beside metrics.jsonl, which is always written."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from jp_adapt.core.errors import UsageError
from jp_adapt.core.extras import require_extra
from jp_adapt.core.suggest import did_you_mean

TRACKERS = ("tensorboard", "wandb", "trackio")
Log = Callable[[int, dict[str, float]], None]


def check_trackers(names: Sequence[str]) -> None:
    """UsageError for a name that is not a tracker, or for one that is not installed: before any work starts."""
    for name in names:
        if name not in TRACKERS:
            raise UsageError(f"--log {name}: no such tracker{did_you_mean(name, TRACKERS)}; one of {', '.join(TRACKERS)}")
        require_extra(name, f"--log {name}")


def open_tracker(name: str, folder: Path, run: str, stage: str) -> Log:
    """A function that logs the figures of a step. `folder` is the stage's; names of runs are kept when a run continues, so that its curve does too."""
    if name == "tensorboard":
        from torch.utils.tensorboard import SummaryWriter

        writer = SummaryWriter(folder / "tensorboard")

        def write(step: int, metrics: dict[str, float]) -> None:
            for key, value in metrics.items():
                writer.add_scalar(key, value, step)
            writer.flush()

        return write
    with redirect_stdout(sys.stderr):  # both speak of themselves; stdout is left to results
        if name == "wandb":
            import wandb

            tracker: Any = wandb
            if tracker.run is not None:  # the stage before: init would continue with it, and drop what has a lower step
                tracker.finish()
            place = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]  # another run folder is another run
            tracker.init(project="jp-adapt", name=f"{run}/{stage}", id=f"{run}-{stage}-{place}", resume="allow", dir=folder)
        else:
            import trackio

            tracker = trackio
            tracker.init(project="jp-adapt", name=f"{run}/{stage}", resume="allow")
    return lambda step, metrics: tracker.log(metrics, step=step)
