"""The training loop: batches of a plan -> steps of AdamW -> checkpoints. What trains is whatever the model leaves unfrozen."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from jp_adapt.core.errors import Interrupted, JpAdaptError
from jp_adapt.corpus.pack import Batch, StepPlan
from jp_adapt.model.causal import CausalModel
from jp_adapt.model.lora import lora_parameters
from jp_adapt.training.checkpoint import list_checkpoints, load_checkpoint, save_checkpoint
from jp_adapt.training.loss import linear_cross_entropy
from jp_adapt.training.schedule import Schedule, lr_factor

Metrics = dict[str, float]


@dataclass(frozen=True)
class TrainSettings:
    """AdamW and its schedule. Learning rates are peaks; `new_rows_lr` is that of the new rows, `lr` that of LoRA."""

    lr: float
    new_rows_lr: float
    betas: tuple[float, float]
    eps: float
    weight_decay: float
    clip_norm: float
    schedule: Schedule
    warmup_share: float
    decay_share: float
    final_lr_share: float
    checkpoint_every: int
    measure_every: int


class NextTokenLoss(nn.Module):
    """Model and loss as one module, so that a distributed wrapper sees every parameter in one forward."""

    def __init__(self, model: CausalModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, positions: Tensor, targets: Tensor) -> Tensor:
        """Sum of -ln p(target), in nats, over targets [B, T] that are not negative."""
        hidden = self.model(ids, positions)
        counted = targets >= 0
        return linear_cross_entropy(hidden[counted], self.model.frozen_head, self.model.new_output, targets[counted])


def train(
    model: CausalModel,
    plan: StepPlan,
    settings: TrainSettings,
    *,
    checkpoints: Path,
    on_step: Callable[[int, Metrics], None],
    measure: Callable[[], Metrics] | None = None,
) -> None:
    """Train new rows and LoRA of `model` in place on all steps of `plan`, from the last checkpoint if there is one.

    Args:
        checkpoints: folder for checkpoints; the last one is kept until the caller removes the folder.
        on_step: called with the number of finished steps and their metrics (loss_nats, tokens, lr, grad_norm, elapsed_s, and what `measure` gave).
        measure: held-out figures, taken before the first step, every `measure_every` steps and after the last.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; a checkpoint was saved.
        JpAdaptError: the loss is no longer a number; nothing was saved after the last good step.
    """
    accelerator = Accelerator()
    parameters = trainable_parameters(model)
    optimizer = torch.optim.AdamW(_groups(model, settings), betas=settings.betas, eps=settings.eps)
    peaks = [group["lr"] for group in optimizer.param_groups]
    done, tokens, elapsed_s = 0, 0, 0.0
    saved = list_checkpoints(checkpoints)
    if saved:
        state = load_checkpoint(saved[-1], parameters, optimizer)
        done, tokens, elapsed_s = state["step"], state["tokens"], state["elapsed_s"]
    elif measure is not None:
        on_step(0, {"tokens": 0, "elapsed_s": 0.0, **measure()})
    objective, prepared = accelerator.prepare(NextTokenLoss(model), optimizer)
    with _stop_requests() as stop_requested:
        while done < plan.num_steps:
            started = time.monotonic()
            factor = _factor(done, plan.num_steps, settings)
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * factor
            batch = plan.batch(done, accelerator.process_index, accelerator.num_processes)
            loss_nats, grad_norm = _take_step(accelerator, objective, prepared, batch, list(parameters.values()), settings.clip_norm, done + 1)
            done, tokens, elapsed_s = done + 1, tokens + batch.num_targets, elapsed_s + time.monotonic() - started
            metrics = {"loss_nats": loss_nats, "num_targets": batch.num_targets, "tokens": tokens, "grad_norm": grad_norm, "elapsed_s": elapsed_s}
            metrics["lr"] = optimizer.param_groups[0]["lr"]
            last = done == plan.num_steps
            if measure is not None and (last or done % settings.measure_every == 0):
                metrics |= measure()
            if accelerator.is_main_process:
                on_step(done, metrics)
                if last or done % settings.checkpoint_every == 0 or stop_requested():
                    save_checkpoint(checkpoints, done, parameters, optimizer, {"tokens": tokens, "elapsed_s": elapsed_s})
            if stop_requested():
                raise Interrupted(f"stopped after step {done} of {plan.num_steps}; a checkpoint is saved, and the same command goes on from there")


def _take_step(
    accelerator: Accelerator, objective: nn.Module, optimizer: Any, batch: Batch, parameters: list[nn.Parameter], clip_norm: float, step: int
) -> tuple[float, float]:
    """One step of the optimizer; the loss of the whole step over all ranks, in nats, and the gradient's norm before clipping."""
    tensors = [torch.tensor(part, device=accelerator.device) for part in (batch.ids, batch.positions, batch.targets)]
    loss_nats = objective(*tensors)
    # Gradients are averaged over ranks, and the mean is over the tokens of the whole step, whoever holds them.
    accelerator.backward(loss_nats * (accelerator.num_processes / batch.num_targets))
    total_nats = float(accelerator.reduce(loss_nats.detach(), reduction="sum"))
    if not math.isfinite(total_nats):
        raise JpAdaptError(f"step {step}: the loss is {total_nats}; lower the learning rate, or use precision float32. The last checkpoint is kept")
    grad_norm = float(accelerator.clip_grad_norm_(parameters, clip_norm))
    optimizer.step()
    optimizer.zero_grad()
    return total_nats, grad_norm


def _factor(step: int, num_steps: int, settings: TrainSettings) -> float:
    return lr_factor(
        step,
        num_steps,
        schedule=settings.schedule,
        warmup_share=settings.warmup_share,
        decay_share=settings.decay_share,
        final_share=settings.final_lr_share,
    )


def trainable_parameters(model: CausalModel) -> dict[str, nn.Parameter]:
    """Everything that trains, by name."""
    rows = {f"new_rows.{name}": parameter for name, parameter in model.new_row_parameters().items()}
    return rows | lora_parameters(model.body)


def _groups(model: CausalModel, settings: TrainSettings) -> list[dict[str, Any]]:
    rows, lora = list(model.new_row_parameters().values()), list(lora_parameters(model.body).values())
    groups: list[dict[str, Any]] = []
    if rows:
        groups.append({"params": rows, "lr": settings.new_rows_lr, "weight_decay": 0.0})
    if lora:
        groups.append({"params": lora, "lr": settings.lr, "weight_decay": settings.weight_decay})
    return groups


@contextmanager
def _stop_requests() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C or SIGTERM into a question that the loop asks between steps; the second one ends at once."""
    requested = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal requested
        requested = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    try:
        previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread: whoever runs us there handles signals
        previous = {}
    try:
        yield lambda: requested
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
