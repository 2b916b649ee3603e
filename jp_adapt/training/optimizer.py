"""AdamW over what trains: which parameter has which learning rate."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from jp_adapt.model.causal import CausalModel
from jp_adapt.model.lora import lora_parameters


def trainable_parameters(model: CausalModel) -> dict[str, nn.Parameter]:
    """Everything that trains, by name."""
    rows = {f"new_rows.{name}": parameter for name, parameter in model.new_row_parameters().items()}
    return rows | lora_parameters(model.body)


def parameter_groups(
    parameters: dict[str, nn.Parameter], *, lr: float, new_rows_lr: float, lora_plus_ratio: float, weight_decay: float
) -> list[dict[str, Any]]:
    """New rows (never decayed); LoRA; and, with LoRA+ (2402.12354), the B matrices at `lora_plus_ratio` times the rate of the others."""
    rows = [parameter for name, parameter in parameters.items() if name.startswith("new_rows.")]
    up = [parameter for name, parameter in parameters.items() if ".lora_B." in name and lora_plus_ratio != 1]
    named = {id(parameter) for parameter in [*rows, *up]}
    rest = [parameter for parameter in parameters.values() if id(parameter) not in named]
    groups = [
        {"params": rest, "lr": lr, "weight_decay": weight_decay},
        {"params": up, "lr": lr * lora_plus_ratio, "weight_decay": weight_decay},
        {"params": rows, "lr": new_rows_lr, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def group_norms(parameters: dict[str, nn.Parameter]) -> dict[str, float]:
    """Norm of the gradient before clipping, of the new rows and of all else."""
    parts: dict[str, list[torch.Tensor]] = {}
    for name, parameter in parameters.items():
        if parameter.grad is not None:
            parts.setdefault("grad_norm_new_rows" if name.startswith("new_rows.") else "grad_norm_lora", []).append(parameter.grad)
    return {name: float(torch.nn.utils.get_total_norm(grads)) for name, grads in parts.items()}
