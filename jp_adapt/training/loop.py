"""The training loop: batches of a plan -> steps of AdamW -> checkpoints. What trains is whatever the model leaves unfrozen."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from torch import nn

from jp_adapt.core.errors import Interrupted, JpAdaptError
from jp_adapt.core.progress import say
from jp_adapt.corpus.pack import StepPlan
from jp_adapt.model.causal import CausalModel
from jp_adapt.model.packed import PackedAttention, check_attention
from jp_adapt.training import ranks
from jp_adapt.training.checkpoint import best_checkpoint, gather_tensors, last_whole_checkpoint, load_checkpoint, save_checkpoint
from jp_adapt.training.first_rows import first_states
from jp_adapt.training.growth import Growth
from jp_adapt.training.heap import keep_freed_memory
from jp_adapt.training.objective import LossKernel, NextTokenLoss, accumulate_gradients
from jp_adapt.training.optimizer import SHARED_ROWS, group_norms, parameter_groups, trainable_parameters
from jp_adapt.training.row_steps import NUM_FEATURES, RowAdamW, whitening
from jp_adapt.training.schedule import Schedule, lr_factor
from jp_adapt.training.sharding import gather_trained, gathered, is_sharded, reshard, shard_model, whole
from jp_adapt.training.spikes import GRADIENT_JUMP, SpikeDetector
from jp_adapt.training.stop import stop_requests
from jp_adapt.training.watch import memory_and_rows
from jp_adapt.training.zero import Zero

Metrics = dict[str, float]
Distributed = Literal["ddp", "fsdp", "deepspeed"]
MAX_REWINDS = 10  # a run that spikes more often has another trouble than its data


@dataclass(frozen=True)
class TrainSettings:
    """AdamW and its schedule. Learning rates are peaks; `new_rows_lr` is that of the new rows, `lr` that of LoRA and all else.

    Attributes:
        micro_batch_rows: rows that go through the model at once; None for all rows of a step. Changes memory, not results (but for rounding).
        spike_factor: go back to the last checkpoint, and on behind the batch, when the loss is above so many times the usual; None for never.
        distributed: how several processes share the work: each with the whole model ("ddp"), each with a part of it ("fsdp"), or as `deepspeed` says, which
            one process obeys, too. Memory, not results.
        deepspeed: DeepSpeed's configuration, as `recipe.deepspeed` reads it.
        old_rows_lr: learning rate of the base's own rows, where they train; None for `lr`.
        new_rows_eps: AdamW's epsilon for the new rows, times the targets of a step; 0 for `eps`. Of a vocabulary, one step of a few thousand tokens holds a
            few hundred rows; the others get a gradient too, a hundredth of theirs, for not being the target, and AdamW would make full steps of it.
        new_rows_whitening: steps of new head rows go along what tells contexts apart (`training/row_steps.py`).
        shared_rows_lr: with it, learning rate of what new head rows of like tokens learn together (there); None where each learns alone.
        best_by: the figure of `measure` by which the final weights are chosen among the checkpoints, lowest first; None for the last weights.
    """

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
    lora_plus_ratio: float = 1.0
    micro_batch_rows: int | None = None
    keep_checkpoints: int = 1
    spike_factor: float | None = None
    best_by: str | None = None
    loss_kernel: LossKernel = "chunked"
    attention: PackedAttention = "auto"
    activation_checkpointing: bool = False
    compile: bool = False
    old_rows_lr: float | None = None
    new_rows_eps: float = 0.0
    new_rows_whitening: bool = False
    shared_rows_lr: float | None = None
    distributed: Distributed = "ddp"
    deepspeed: Mapping[str, Any] | None = None


def train(
    model: CausalModel,
    plan: StepPlan,
    settings: TrainSettings,
    *,
    checkpoints: Path,
    on_step: Callable[[int, Metrics], None],
    measure: Callable[[], Metrics] | None = None,
    growth: Growth | None = None,
) -> None:
    """Train what is not frozen of `model`, in place, on all steps of `plan`, from the last checkpoint if there is one.

    On several processes every one of them calls this with the same arguments; checkpoints are written on rank 0 only. Of a sharded model rank 0 alone holds
    the whole of what trained afterwards, on the CPU, and the model is good for nothing but to be saved.

    Args:
        checkpoints: folder for checkpoints; the last ones are kept until the caller removes the folder.
        on_step: called with the number of finished steps and their metrics (loss_nats, tokens, lr, grad_norm, elapsed_s, and what `measure` gave), on
            every rank: what goes through a sharded model must do so on all of them, what writes must do so on rank 0.
        measure: held-out figures, taken before the first step, every `measure_every` steps and after the last.
        growth: which new rows are in use when; `plan` is its plan then. All of them throughout by default.

    Raises:
        Interrupted: Ctrl-C or SIGTERM; a checkpoint was saved.
        JpAdaptError: the loss is no longer a number, or another process is gone; nothing was saved after the last good step.
    """
    try:
        with ranks.lost_rank_is_an_error(), stop_requests() as stop_requested:
            loop = _Loop(model, plan, settings, checkpoints, on_step, measure, growth)
            loop.resume()
            while loop.done < plan.num_steps:
                stopping = ranks.any_rank(stop_requested()) if loop.step() else False
                loop.save_if_due(stopping)
                if stopping:
                    raise Interrupted(f"stopped after step {loop.done} of {plan.num_steps}; a checkpoint is saved, and the same command resumes from there")
            loop.tell_jumps()
            loop.take_best()
            loop.gather()
    finally:
        model.lean = None  # whoever has the model next may put other layers into it


class _Loop:
    """Where training stands: `done` steps of the plan, and what the model and the optimizer learned in them."""

    def __init__(
        self,
        model: CausalModel,
        plan: StepPlan,
        settings: TrainSettings,
        checkpoints: Path,
        on_step: Callable[[int, Metrics], None],
        measure: Callable[[], Metrics] | None,
        growth: Growth | None,
    ) -> None:
        ranks.join()
        # "no": the model computes in the type it was loaded in, and `accelerate launch --mixed_precision` must not cast a second time.
        handlers = [DistributedDataParallelKwargs(broadcast_buffers=False, gradient_as_bucket_view=True)]
        self.accelerator = Accelerator(cpu=ranks.on_cpu(), mixed_precision="no", kwargs_handlers=handlers)
        if self.accelerator.device.type == "cpu":
            keep_freed_memory()
        self.model, self.plan, self.settings = model, plan, settings
        self.checkpoints, self.on_step, self.measure, self.growth = checkpoints, on_step, measure, growth
        if growth is not None:
            model.rows_in_use = growth.rows_after(0)
        _prepare_body(model, settings)
        self.sharded = settings.distributed == "fsdp" and self.accelerator.num_processes > 1
        if self.accelerator.device.type == "cpu" and not self.sharded and settings.deepspeed is None and not settings.compile:
            model.make_lean()
        if self.sharded:
            shard_model(model, self.accelerator.device)
        elif settings.deepspeed is None:
            model.to(self.accelerator.device)
        self.parameters = trainable_parameters(model)
        rows, shared = model.new_output if settings.new_rows_whitening else None, None
        if rows is not None and settings.shared_rows_lr is not None:
            shared = self.parameters[SHARED_ROWS] = nn.Parameter(rows.new_zeros(NUM_FEATURES, rows.shape[1]))
        groups = parameter_groups(
            self.parameters,
            lr=settings.lr,
            new_rows_lr=settings.new_rows_lr,
            old_rows_lr=settings.lr if settings.old_rows_lr is None else settings.old_rows_lr,
            lora_plus_ratio=settings.lora_plus_ratio,
            weight_decay=settings.weight_decay,
            shared_rows_lr=settings.shared_rows_lr,
        )
        adamw: dict[str, Any] = {"betas": settings.betas, "eps": settings.eps}
        self.optimizer = torch.optim.AdamW(groups, **adamw) if rows is None else RowAdamW(groups, rows, shared=shared, **adamw)
        self.peaks = [group["lr"] for group in self.optimizer.param_groups]
        self.objective: nn.Module = NextTokenLoss(model, settings.loss_kernel)
        config, device = settings.deepspeed, self.accelerator.device
        self.zero = None if config is None else Zero(self.objective, self.optimizer, config, device, clip_norm=settings.clip_norm)
        if self.zero is not None:
            self.objective = self.zero.engine
        elif not self.sharded:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # torch 2.13 renames broadcast_buffers, and accelerate 1.15 knows no other name
                self.objective = self.accelerator.prepare(self.objective)
        self.in_step = self.sharded or self.zero is not None  # all ranks go through the model, and read what trained, together
        self.scaler = torch.amp.GradScaler(self.accelerator.device.type, enabled=model.dtype == torch.float16)
        self._watch()
        self.jumps: list[int] = []  # steps whose gradients were far longer than usual
        self.rows = [*model.base_row_parameters().values(), *model.new_row_parameters().values()]  # of which the head is used outside of any module
        self.done, self.tokens, self.elapsed_s, self.rewinds = 0, 0, 0.0, 0
        self.figure: float | None = None
        self.last_saved: Path | None = None

    def resume(self) -> None:
        """Go on from the last checkpoint that is whole, on every rank from the same; else measure where training starts."""
        main = self.accelerator.is_main_process
        self.last_saved = ranks.share(last_whole_checkpoint(self.checkpoints) if main else None)
        if self.last_saved is not None:
            self._restore(self.last_saved)
            self.done = int(self.last_saved.name.removeprefix("step_"))
            return
        self._grow()
        if isinstance(self.optimizer, RowAdamW):
            self.optimizer.prepare(*ranks.share(self._row_coordinates() if main else None))
        if self.measure is not None:
            with gathered(self.rows):
                self.on_step(0, {"tokens": 0, "elapsed_s": 0.0, **self.measure()})

    def _row_coordinates(self) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The matrices of `RowAdamW`, of the training text and of the model as it begins."""
        matrix = whitening(first_states(self.model, self.plan)).cpu()
        if self.settings.shared_rows_lr is None:
            return matrix, None
        from jp_adapt.training.row_features import row_features  # which loads scipy

        return matrix, torch.from_numpy(row_features(self.plan, self.model.order.first, self.model.order.count))

    def _restore(self, checkpoint: Path) -> None:
        state = self._load(checkpoint)
        if self.growth is not None:
            self.model.rows_in_use = self.growth.rows_after(state["step"])
        self.tokens, self.elapsed_s, self.rewinds, self.jumps = state["tokens"], state["elapsed_s"], state["rewinds"], state.get("jumps", [])
        self._watch(state["recent_losses"], state.get("recent_lengths"))
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])

    def _watch(self, losses: list[float] | None = None, lengths: list[float] | None = None) -> None:
        """Judge losses and lengths of gradients by those of the last steps; by what comes, where there are none yet."""
        self.spikes, self.lengths = SpikeDetector(self.settings.spike_factor, losses), SpikeDetector(GRADIENT_JUMP, lengths)

    def _load(self, checkpoint: Path) -> dict[str, Any]:
        if self.sharded:
            reshard(self.model)
        state = load_checkpoint(checkpoint, self.parameters, self.zero or self.optimizer)
        if self.zero is not None:
            self.zero.loaded()
        return state

    def step(self) -> bool:
        """One step of the plan. False when it was a spike: the weights are those of the last checkpoint, and the step is passed over."""
        self.figure, started = None, time.monotonic()
        self._grow()
        batch = self.plan.batch(self.done, self.accelerator.process_index, self.accelerator.num_processes)
        self._set_rates(batch.num_targets)
        scale = float(self.scaler.get_scale()) if self.scaler.is_enabled() else 1.0
        rows = self.settings.micro_batch_rows
        nats = accumulate_gradients(self.accelerator, self.objective, batch, rows=rows, scale=scale, in_step=self.in_step, zero=self.zero)
        self.done += 1
        if self.spikes.sees(nats / max(1, batch.num_targets)):
            self._rewind(nats / max(1, batch.num_targets))
            return False
        norms = self._update()
        if self.lengths.sees(norms["grad_norm"]) and not self.scaler.is_enabled():  # float16 overflows now and then
            self.jumps.append(self.done)
        self.tokens += batch.num_targets
        step_s = time.monotonic() - started
        self.elapsed_s += step_s
        metrics = {"loss_nats": nats, "num_targets": batch.num_targets, "tokens": self.tokens, **norms, "elapsed_s": self.elapsed_s}
        metrics |= {"lr": self.optimizer.param_groups[0]["lr"], "tokens_per_s": batch.num_targets / step_s}
        metrics |= {"new_tokens": self.model.rows_in_use} if self.growth is not None else {}
        self._report(metrics)
        return True

    def _grow(self) -> None:
        if self.growth is not None and self.growth.bring_in(self.model, self.done):
            self._watch()  # a longer token says more, and costs more

    def _set_rates(self, num_targets: int) -> None:
        """The learning rate of this step for every group, and the epsilon of the new rows, whose gradients are as small as the step has targets."""
        settings = self.settings
        factor = lr_factor(
            self.done,
            self.plan.num_steps,
            schedule=settings.schedule,
            warmup_share=settings.warmup_share,
            decay_share=settings.decay_share,
            final_share=settings.final_lr_share,
        )
        for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = peak * factor
            if group["name"] in ("new_rows", SHARED_ROWS) and settings.new_rows_eps:
                group["eps"] = settings.new_rows_eps / max(1, num_targets)

    def _update(self) -> Metrics:
        """Clip and step; the gradient's norms before clipping come back. In float16 a step whose gradients overflowed is left out by the scaler.

        Of DeepSpeed's gradients, which are no parameters' any more, there is the norm of all.
        """
        if self.zero is not None:
            return {"grad_norm": self.zero.step()}
        if self.scaler.is_enabled():
            self.scaler.scale(torch.zeros((), device=self.accelerator.device))  # makes the scaler's own tensors; the loss was scaled by us
            self.scaler.unscale_(self.optimizer)
        norms = group_norms(self.parameters)
        norms["grad_norm"] = float(whole(torch.nn.utils.clip_grad_norm_(list(self.parameters.values()), self.settings.clip_norm)))
        if self.scaler.is_enabled():
            self.scaler.step(self.optimizer)
            self.scaler.update()
        else:
            self.optimizer.step()
        self.optimizer.zero_grad()
        return norms

    def _report(self, metrics: Metrics) -> None:
        due = self.done == self.plan.num_steps or self.done % self.settings.measure_every == 0
        with gathered(self.rows if due else ()):
            if due and self.measure is not None:
                metrics |= self.measure() | memory_and_rows(self.model, self.accelerator.device)
                self.figure = metrics.get(self.settings.best_by or "")
            self.on_step(self.done, metrics)

    def tell_jumps(self) -> None:
        """Say that gradients were far longer than usual in more than one step: a short training does not make up for that (docs/training.md)."""
        if len(self.jumps) > 1 and self.accelerator.is_main_process:
            steps = f"{len(self.jumps)} of {self.done} steps, first in step {self.jumps[0]}"
            say(f'gradients jumped in {steps}; a lower lr, or another seed, may end better (docs/training.md, "When gradients jump")')

    def save_if_due(self, stopping: bool) -> None:
        """Save every so many steps, after the last, before a stop, and where a figure was measured that may be the best."""
        due = self.done == self.plan.num_steps or self.done % self.settings.checkpoint_every == 0 or stopping or self.figure is not None
        if not due:
            return
        self.last_saved = self.checkpoints / f"step_{self.done:06d}"
        main = self.accelerator.is_main_process
        tensors = gather_tensors(self.parameters, self.zero or self.optimizer, keep=main) if main or self.in_step else {}
        if main:
            state = {"tokens": self.tokens, "elapsed_s": self.elapsed_s, "rewinds": self.rewinds, "recent_losses": self.spikes.recent}
            state |= {"figure": self.figure, "jumps": self.jumps, "recent_lengths": self.lengths.recent}
            if self.scaler.is_enabled():
                state["scaler"] = self.scaler.state_dict()
            save_checkpoint(self.checkpoints, self.done, tensors, state, keep=self.settings.keep_checkpoints)

    def _rewind(self, loss: float) -> None:
        """Back to the weights of the last checkpoint, and on behind the batch that spiked (as PaLM was trained, 2204.02311)."""
        self.optimizer.zero_grad()
        kept = "The last checkpoint is kept"
        if self.settings.spike_factor is None:
            raise JpAdaptError(f"step {self.done}: the loss is {loss}; lower the learning rate, or use precision float32. {kept}")
        if self.last_saved is None or self.rewinds == MAX_REWINDS:
            why = f"after {MAX_REWINDS} rewinds" if self.last_saved else "before the first checkpoint"
            raise JpAdaptError(f"step {self.done}: the loss is {loss:.3g}, a spike, {why}; lower the learning rate, or look at the data. {kept}")
        rewinds, elapsed_s = self.rewinds, self.elapsed_s
        usual = self.spikes.usual() if math.isfinite(loss) else math.nan
        self._restore(self.last_saved)
        self.rewinds, self.elapsed_s = rewinds + 1, elapsed_s
        if self.accelerator.is_main_process:
            say(f"step {self.done}: the loss jumped to {loss:.3g} nats per token (usual: {usual:.3g}); back to {self.last_saved.name}, and on behind this step")

    def gather(self) -> None:
        """Where the model is sharded, put the whole of what trained into it, on rank 0."""
        if is_sharded(self.model):
            gather_trained(self.model, keep=self.accelerator.is_main_process)
        if self.zero is not None:
            self.zero.engine.destroy()

    def take_best(self) -> None:
        """Where the best weights are asked for, put those of the best checkpoint in place of the last."""
        if self.settings.best_by is None:
            return
        best = ranks.share(best_checkpoint(self.checkpoints) if self.accelerator.is_main_process else None)
        if best is not None:
            self._load(best)
            if self.accelerator.is_main_process:
                say(f"kept: the weights of {best.name}, best by {self.settings.best_by}")


def _prepare_body(model: CausalModel, settings: TrainSettings) -> None:
    check_attention(settings.attention, model.dtype)
    model.attention = settings.attention
    if settings.activation_checkpointing:
        model.body.train()  # transformers recomputes only in training mode; a Llama body has no dropout
        model.body.gradient_checkpointing_enable({"use_reentrant": False})
    if settings.compile:
        model.body.compile()
        model.compiled = True
