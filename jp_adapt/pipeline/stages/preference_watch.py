"""What the run folder asks of TRL's trainer while it trains: whole checkpoints, figures of every step, a stop that saves, and a loss that is a number."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from jp_adapt.core.errors import JpAdaptError
from jp_adapt.core.files import read_json, write_json
from jp_adapt.core.hashes import sha256_file
from jp_adapt.core.progress import say
from jp_adapt.pipeline.run_folder import StageFolder
from jp_adapt.training import ranks

WHOLE = "whole.json"  # name -> SHA-256 of the files of a checkpoint, written when all of them are there
Log = Callable[[int, dict[str, float]], None]


class PreferenceWatch(TrainerCallback):  # type: ignore[misc]
    """Called by the trainer on every rank; only the first writes.

    Attributes:
        stopped: training ended early, because it was asked to.
        last: the figures of the last step.
    """

    def __init__(self, folder: StageFolder, stop_requested: Callable[[], bool], watchers: Sequence[Log], advance: Callable[[int, str], None]) -> None:
        self.folder, self.stop_requested, self.watchers, self.advance = folder, stop_requested, watchers, advance
        self.stopped, self.last = False, dict[str, float]()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if ranks.any_rank(self.stop_requested()) and state.global_step < state.max_steps:
            self.stopped = control.should_save = control.should_training_stop = True

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        if logs is None or "loss" not in logs:  # the trainer's summary at the end
            return
        if not math.isfinite(logs["loss"]):
            raise JpAdaptError(
                f"step {state.global_step}: the loss is {logs['loss']}; lower the learning rate, or use precision float32. The last checkpoint is kept"
            )
        if ranks.rank() > 0:
            return
        self.last = dict(logs)
        self.folder.add_metrics({"step": state.global_step, "num_steps": state.max_steps, **logs})
        for watch in self.watchers:
            watch(state.global_step, logs)
        self.advance(state.global_step, f"loss {logs['loss']:.3f}")

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if ranks.rank() == 0:
            mark_whole(self.folder.checkpoints / f"checkpoint-{state.global_step}")


def mark_whole(checkpoint: Path) -> None:
    """Note the hashes of a checkpoint's files. The trainer writes them one by one, so that a kill between two leaves a folder without this mark."""
    # Each rank writes its own random state, at a time of its own; there is no dropout that would need it.
    files = [path for path in sorted(checkpoint.iterdir()) if path.is_file() and not path.name.startswith("rng_state")]
    write_json(checkpoint / WHOLE, {path.name: sha256_file(path) for path in files})


def last_whole(checkpoints: Path) -> Path | None:
    """The last checkpoint whose files are as they were written; later ones that are not are removed, with a word."""
    results = sorted(checkpoints.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    for path in results:
        if _is_whole(path):
            return path
        say(f"{path}: checkpoint cut short or damaged; removed, and the one before is taken")
        shutil.rmtree(path)
    return None


def _is_whole(checkpoint: Path) -> bool:
    try:
        hashes = read_json(checkpoint / WHOLE)
        return all(sha256_file(checkpoint / name) == digest for name, digest in hashes.items())
    except (JpAdaptError, AttributeError):
        return False
