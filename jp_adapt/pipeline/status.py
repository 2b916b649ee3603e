"""How far a run is, read from its folder alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jp_adapt.core.lock import is_locked
from jp_adapt.pipeline.run_folder import RunFolder, resolved_recipe
from jp_adapt.report.written import duration_text, finite, number_text

State = Literal["done", "running", "stopped", "waiting"]
RECENT = 20  # steps that the speed is taken from: one step alone is noise, and the first ones of a stage are slow


@dataclass(frozen=True)
class StageStatus:
    """How far a stage is.

    Attributes:
        state: "stopped" is a stage that began, is not finished, and that no process works on.
        step: the last one that was written down.
        elapsed_s: what a finished stage took.
        num_steps: of the whole stage; None for stages without steps, and of earlier versions.
        loss: of the last step; nats per token, or a preference loss.
        tokens_per_s: over the last steps.
        left_s: at that speed; None where the stage does not run.
        new_tokens: that are in use by now, in a stage that lets them come in little by little.
    """

    id: str
    kind: str
    state: State
    step: int | None
    elapsed_s: float | None
    num_steps: int | None = None
    loss: float | None = None
    tokens_per_s: float | None = None
    left_s: float | None = None
    new_tokens: int | None = None


def run_status(path: str | Path) -> list[StageStatus]:
    """The stages of a run in order. InputError when `path` is not a run folder."""
    path = Path(path)
    folder = RunFolder(path)
    stages = [(stage["id"], stage["kind"]) for stage in resolved_recipe(path)["stages"]]
    if folder.stage("base").path.is_dir():
        stages.insert(0, ("base", "base"))
    running = is_locked(path)
    return [_status(folder, *stage, running) for stage in stages]


def run_state(stages: Sequence[StageStatus]) -> State:
    """The state of a run from those of its stages; a stage that waits behind one that runs does not count."""
    states = {stage.state for stage in stages}
    return "running" if "running" in states else "done" if states == {"done"} else "stopped" if states & {"stopped", "done"} else "waiting"


def progress_text(stage: StageStatus) -> str:
    """How far a training stage is: "67/125, loss 3.812, 360 tokens/s, 4 min 10 s left"."""
    if stage.step is None:
        return ""
    parts = [f"{number_text(stage.step, 0)}/{number_text(stage.num_steps, 0)}" if stage.num_steps else f"step {number_text(stage.step, 0)}"]
    parts += [f"{number_text(stage.new_tokens, 0)} new tokens"] if stage.new_tokens is not None else []
    parts += [f"loss {number_text(stage.loss, 3)}"] if stage.loss is not None else []
    parts += [f"{number_text(stage.tokens_per_s, 0)} tokens/s"] if stage.tokens_per_s is not None else []
    parts += [f"{duration_text(stage.left_s)} left"] if stage.left_s is not None else []
    return ", ".join(parts)


def _status(folder: RunFolder, stage_id: str, kind: str, running: bool) -> StageStatus:
    stage = folder.stage(stage_id)
    record = stage.record()
    lines = stage.last_metrics()
    state: State = "done" if stage.done else "waiting" if not stage.path.is_dir() else "running" if running else "stopped"
    if not lines:
        return StageStatus(stage_id, kind, state, None, record.elapsed_s if record else None)
    last = lines[-1]
    num_steps = last["num_steps"] if type(last.get("num_steps")) is int else None
    loss = finite(last.get("loss_nats_per_token", last.get("loss")))  # it may be NaN
    step_s, tokens_per_s = _speed(lines[-RECENT:])
    left_s = (num_steps - last["step"]) * step_s if state == "running" and step_s is not None and num_steps is not None else None
    elapsed_s = record.elapsed_s if record else None
    new_tokens = last["new_tokens"] if type(last.get("new_tokens")) is int else None
    return StageStatus(stage_id, kind, state, last["step"], elapsed_s, num_steps, loss, tokens_per_s if state == "running" else None, left_s, new_tokens)


def _speed(lines: Sequence[dict[str, Any]]) -> tuple[float | None, float | None]:
    """Seconds of a step and tokens a second over `lines`; None where they do not say."""
    timed = [line for line in lines if finite(line.get("elapsed_s")) is not None and finite(line.get("tokens")) is not None]
    if len(timed) < 2:
        return None, None
    first, last = timed[0], timed[-1]
    seconds, steps = last["elapsed_s"] - first["elapsed_s"], last["step"] - first["step"]
    return (seconds / steps, (last["tokens"] - first["tokens"]) / seconds) if steps > 0 and seconds > 0 else (None, None)
