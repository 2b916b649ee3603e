"""AdamW over what trains: which parameter has which learning rate."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from jp_adapt.model.causal import CausalModel
from jp_adapt.model.lora import lora_parameters
from jp_adapt.training.sharding import whole

SHARED_ROWS = "shared_rows"  # what new rows learn together (`training/row_steps.py`): its name among parameters, and that of its group


def trainable_parameters(model: CausalModel) -> dict[str, nn.Parameter]:
    """Everything that trains, by name: new_rows.*, LoRA's names, and of the base old_rows.* and body.*."""
    results = {f"new_rows.{name}": parameter for name, parameter in model.new_row_parameters().items()}
    results |= {f"old_rows.{name}": parameter for name, parameter in model.base_row_parameters().items() if parameter.requires_grad}
    # A tied head is the embedding, and hangs in the body: each weight once.
    rows = {id(parameter) for parameter in model.base_row_parameters().values()}
    body = {name: parameter for name, parameter in model.body.named_parameters() if parameter.requires_grad and id(parameter) not in rows}
    results |= {f"body.{name}": parameter for name, parameter in body.items() if ".lora_" not in name}
    return results | lora_parameters(model.body)


def parameter_groups(
    parameters: dict[str, nn.Parameter],
    *,
    lr: float,
    new_rows_lr: float,
    old_rows_lr: float,
    lora_plus_ratio: float,
    weight_decay: float,
    shared_rows_lr: float | None = None,
) -> list[dict[str, Any]]:
    """AdamW's groups, by name. New rows and norms are never decayed; with LoRA+ (2402.12354) B matrices have `lora_plus_ratio` times the rate of A."""
    kinds: dict[str, list[nn.Parameter]] = {"rest": [], "norms": [], "up": [], "old_rows": [], "new_rows": [], SHARED_ROWS: []}
    for name, parameter in parameters.items():
        first = name.partition(".")[0]
        kind = first if first in ("new_rows", "old_rows", SHARED_ROWS) else "norms" if first == "body" and parameter.ndim == 1 else "rest"
        kinds["up" if ".lora_B." in name and lora_plus_ratio != 1 else kind].append(parameter)
    rates = {"rest": lr, "norms": lr, "up": lr * lora_plus_ratio, "old_rows": old_rows_lr, "new_rows": new_rows_lr, SHARED_ROWS: shared_rows_lr}
    return [
        {"name": kind, "params": kinds[kind], "lr": rate, "weight_decay": 0.0 if kind in ("norms", "new_rows", SHARED_ROWS) else weight_decay}
        for kind, rate in rates.items()
        if kinds[kind]
    ]


def group_norms(parameters: dict[str, nn.Parameter]) -> dict[str, float]:
    """Norm of the gradient before clipping of each part that trains: new rows, old rows, body, LoRA."""
    parts: dict[str, list[torch.Tensor]] = {}
    for name, parameter in parameters.items():
        first = name.partition(".")[0]
        part = first if first in ("new_rows", "old_rows", "body") else "lora"
        if parameter.grad is not None:
            parts.setdefault(f"grad_norm_{part}", []).append(parameter.grad)
    return {name: float(whole(torch.nn.utils.get_total_norm(grads))) for name, grads in parts.items()}
