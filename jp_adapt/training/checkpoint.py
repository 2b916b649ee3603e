"""Checkpoints: whole folders of safetensors, or nothing. No pickle."""

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

TENSORS, STATE = "tensors.safetensors", "state.json"


def save_checkpoint(folder: Path, step: int, parameters: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Write `folder/step_N`, then remove older checkpoints. `state` is any JSON value that the loop needs to go on."""
    tensors: dict[str, Tensor] = {}
    for name, parameter in parameters.items():
        tensors[name] = parameter.detach().contiguous()
        for key, value in optimizer.state[parameter].items():
            tensors[f"{name}|{key}"] = value.detach().contiguous()
    target = folder / f"step_{step:06d}"
    with new_folder(target) as temporary:
        save_file(tensors, temporary / TENSORS)
        write_json(temporary / STATE, {"step": step, **state})
    for old in list_checkpoints(folder)[:-1]:
        shutil.rmtree(old)


def list_checkpoints(folder: Path) -> list[Path]:
    """Finished checkpoints, oldest first."""
    return sorted(path for path in folder.glob("step_*") if (path / STATE).is_file())


def load_checkpoint(path: Path, parameters: dict[str, nn.Parameter], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Put a checkpoint's values into `parameters` and `optimizer`; its state comes back. JpAdaptError when it is damaged or of another model."""
    try:
        tensors = load_file(path / TENSORS)
    except (SafetensorError, OSError) as error:
        raise JpAdaptError(f"{path}: damaged checkpoint ({error}); remove this folder to go on from the one before, or from the stage's start") from error
    names = {name.partition("|")[0] for name in tensors}
    if names != set(parameters):
        odd = sorted(names ^ set(parameters))[0]
        raise JpAdaptError(f"{path}: checkpoint of another model ('{odd}' stands on one side only); remove this folder")
    for name, parameter in parameters.items():
        parameter.data.copy_(tensors[name])
    for name, value in tensors.items():
        owner, bar, key = name.partition("|")
        if bar:
            optimizer.state[parameters[owner]][key] = value
    state: dict[str, Any] = read_json(path / STATE)
    return state
