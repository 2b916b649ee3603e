"""Checkpoints: whole folders of safetensors, or nothing. No pickle. They hold nothing of the number of processes, so any number may resume from them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from jp_adapt.core.errors import JpAdaptError
from jp_adapt.core.files import new_folder, read_json, write_json
from jp_adapt.core.hashes import sha256_file
from jp_adapt.core.progress import say
from jp_adapt.training.sharding import gathered, placed_like, whole
from jp_adapt.training.zero import Zero

TENSORS, STATE = "tensors.safetensors", "state.json"


def gather_tensors(parameters: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer | Zero, *, keep: bool = True) -> dict[str, Tensor]:
    """Values of parameters and optimizer, sharded ones made whole, for which all processes must call this. Returns nothing if `keep` is False."""
    tensors: dict[str, Tensor] = {}
    for name, parameter in parameters.items():
        for key, value in [(name, parameter), *((f"{name}|{key}", value) for key, value in optimizer.state[parameter].items())]:
            results = whole(value).detach()
            if keep:
                tensors[key] = results.cpu().contiguous()
    return tensors


def save_checkpoint(folder: Path, step: int, tensors: dict[str, Tensor], state: dict[str, Any], *, keep: int = 1) -> None:
    """Write `folder/step_N`, then remove all but the last `keep` checkpoints and the best one.

    Args:
        tensors: what `gather_tensors` found.
        state: any JSON value that the loop needs to continue. Its `figure`, where it has one, decides which checkpoint is best: the lowest.
    """
    with new_folder(folder / f"step_{step:06d}") as temporary:
        save_file(tensors, temporary / TENSORS)
        write_json(temporary / STATE, {"step": step, "sha256": sha256_file(temporary / TENSORS), **state})
    saved = list_checkpoints(folder)
    best = best_checkpoint(folder)
    for old in saved[: max(0, len(saved) - keep)]:
        if old != best:
            shutil.rmtree(old)


def list_checkpoints(folder: Path) -> list[Path]:
    """Finished checkpoints, oldest first."""
    return sorted(path for path in folder.glob("step_*") if path.suffix == "" and (path / STATE).is_file())


def best_checkpoint(folder: Path) -> Path | None:
    """The checkpoint with the lowest figure, the earliest of equals; None when none has one."""
    figures = [(read_json(path / STATE).get("figure"), path) for path in list_checkpoints(folder)]
    results = [(figure, path) for figure, path in figures if figure is not None]
    return min(results)[1] if results else None


def last_whole_checkpoint(folder: Path) -> Path | None:
    """The last checkpoint whose tensors are as they were written. A damaged one is renamed to `NAME.damaged`, with a word, and the one before is taken."""
    for path in reversed(list_checkpoints(folder)):
        reason = _damage(path)
        if reason is None:
            return path
        aside = path.with_name(f"{path.name}.damaged")
        if aside.exists():
            shutil.rmtree(aside)
        path.rename(aside)
        before = list_checkpoints(folder)
        say(f"{path}: damaged checkpoint ({reason}); renamed to {aside.name}. Going on from {before[-1].name if before else 'the start of the stage'}")
    return None


def _damage(path: Path) -> str | None:
    try:
        state = read_json(path / STATE)
        load_file(path / TENSORS)
        return None if state["sha256"] == sha256_file(path / TENSORS) else f"{TENSORS} is not as it was written"
    except (SafetensorError, OSError, JpAdaptError, KeyError, TypeError) as error:
        return str(error)


def load_checkpoint(path: Path, parameters: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer | Zero) -> dict[str, Any]:
    """Put a checkpoint's values into `parameters` and `optimizer` and return its state. JpAdaptError if it is damaged or of another model."""
    try:
        tensors = load_file(path / TENSORS)
    except (SafetensorError, OSError) as error:
        raise JpAdaptError(f"{path}: damaged checkpoint ({error}); remove this folder to resume from the one before, or from the stage's start") from error
    names = {name.partition("|")[0] for name in tensors}
    if names != set(parameters):
        odd = sorted(names ^ set(parameters))[0]
        raise JpAdaptError(f"{path}: checkpoint of another model ('{odd}' stands on one side only); remove this folder")
    with torch.no_grad():
        for name, parameter in parameters.items():
            with gathered([parameter]):
                parameter.copy_(placed_like(tensors[name], parameter))
    for name, value in tensors.items():
        owner, bar, key = name.partition("|")
        if bar:
            # AdamW keeps its step counter on the CPU, everything else beside the parameter.
            optimizer.state[parameters[owner]][key] = value if key == "step" else placed_like(value, parameters[owner])
    state: dict[str, Any] = read_json(path / STATE)
    return state
