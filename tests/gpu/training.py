"""Training on the device: tokens per second and memory by attention and beside peers, sharded and in 4 bits, interrupted and resumed."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from jp_adapt.corpus.mixture import plan_training
from jp_adapt.model.causal import CausalModel, load_base
from jp_adapt.model.packed import PackedAttention
from jp_adapt.model.plan import DEVICES, Workload, flops_per_token, memory_by_part
from jp_adapt.model.this_machine import device_of
from jp_adapt.training.loop import TrainSettings, train
from jp_adapt.training.objective import NextTokenLoss
from jp_adapt.training.optimizer import trainable_parameters
from jp_adapt.training.sharding import shard_model
from tests.gpu.rows import Row, at_most
from tests.gpu.scale import Scale, extended, random_base, write_base
from tests.perf.training_peers import Job, measure

SETTINGS = TrainSettings(1e-4, 1e-4, (0.9, 0.95), 1e-8, 0.0, 1.0, "cosine", 0.1, 0.2, 0.1, 10**6, 10**6)
WARM_UP = 2  # steps that are not timed: kernels are compiled in them
PLAN_ERROR = 0.10  # by which the memory of `jp-adapt plan` may miss the allocator's peak


class Stop(Exception):
    """Ends a training in the middle of a step, as a kill does."""


def speed(scale: Scale) -> Iterator[Row]:
    """Tokens per second, share of the device's peak and peak memory, by attention; the plan's memory beside it."""
    for way in _ways(scale):
        model = extended(random_base(scale, scale.dtype), scale)
        clock: list[tuple[float, int]] = []

        def on_step(step: int, metrics: dict[str, float], clock: list[tuple[float, int]] = clock) -> None:
            _wait(scale)
            if scale.device == "cuda" and step == WARM_UP:
                torch.cuda.reset_peak_memory_stats()
            clock.append((time.perf_counter(), int(metrics["tokens"])))

        _train(scale, model, dataclasses.replace(SETTINGS, attention=way), scale.steps + WARM_UP, on_step)
        (start, before), (end, after) = clock[WARM_UP - 1], clock[-1]
        tokens_per_s = (after - before) / (end - start)
        work = _workload(scale)
        peak_flops = _peak_flops()
        share = "" if peak_flops is None else f", {flops_per_token(work) * tokens_per_s / peak_flops:.0%} of peak"
        yield Row(f"training, attention {way}", f"{tokens_per_s:,.0f} tokens/s{share}")
        if scale.device == "cuda":
            peak, planned = torch.cuda.max_memory_allocated(), sum(memory_by_part(work).values())
            figure = f"{peak / 1e9:.2f} GB, planned {planned / 1e9:.2f}"
            # The plan counts our attention, which keeps no mask; the mask's way is for the record.
            reached = abs(planned / peak - 1) <= PLAN_ERROR if way != "mask" else None
            yield Row(f"peak memory, attention {way}", figure, f"within {PLAN_ERROR:.0%}" if reached is not None else "", reached)


def peers(scale: Scale) -> Iterator[Row]:
    """The whole of a training beside TRL and Trainer + peft, each in a process of its own, from the same folder of random weights."""
    if scale.device != "cuda":
        yield Row("training beside peers", "not measured: no GPU")
        return
    with tempfile.TemporaryDirectory() as folder:
        base = str(write_base(scale, Path(folder, "base")))
        contenders = ["ours", "Trainer + peft", *(["TRL SFTTrainer"] if find_spec("trl") else [])]
        results = {}
        for name in contenders:
            results[name] = measure(Job(name, base, rows=scale.rows, length=scale.length, steps=scale.steps, attention="varlen" if name == "ours" else "auto"))
        for name, result in results.items():
            ratio = results["ours"]["tokens_per_s"] / result["tokens_per_s"]
            yield Row(
                f"training, {name}", f"{result['tokens_per_s']:,.0f} tokens/s, {result['peak_bytes'] / 1e9:.2f} GB", "", None if name == "ours" else ratio > 1
            )
    if not find_spec("trl"):
        yield Row("training, TRL", "not measured: not installed")


def sharded(scale: Scale) -> Iterator[Row]:
    """FSDP2 and DDP on one rank: the loss and gradients of a model that is not wrapped."""
    ids, positions = scale.ids(), scale.positions()
    targets = ids.roll(-1, dims=1)
    exact_loss, exact = _gradients(extended(random_base(scale, scale.dtype, layers=2), scale), ids, positions, targets)
    with tempfile.TemporaryDirectory() as folder:
        store = dist.FileStore(str(Path(folder, "store")), 1)
        dist.init_process_group("nccl" if scale.device == "cuda" else "gloo", store=store, rank=0, world_size=1)
        try:
            model = extended(random_base(scale, scale.dtype, layers=2), scale)
            wrapped = torch.nn.parallel.DistributedDataParallel(NextTokenLoss(model), broadcast_buffers=False)
            loss = wrapped(ids, positions, targets)
            loss.backward()
            yield from _compared("DDP on one rank", loss, {name: p.grad for name, p in trainable_parameters(model).items()}, exact_loss, exact)
            model = extended(random_base(scale, scale.dtype, layers=2), scale)
            shard_model(model, torch.device(scale.device))
            loss, gradients = _gradients(model, ids, positions, targets)
            yield from _compared("FSDP2 on one rank", loss, gradients, exact_loss, exact)
        finally:
            dist.destroy_process_group()


def _gradients(model: CausalModel, ids: torch.Tensor, positions: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, dict[str, Any]]:
    loss = NextTokenLoss(model)(ids, positions, targets)
    loss.backward()
    return loss, {name: parameter.grad for name, parameter in trainable_parameters(model).items()}


def _compared(what: str, loss: torch.Tensor, gradients: dict[str, Any], exact_loss: torch.Tensor, exact: dict[str, Any]) -> Iterator[Row]:
    yield at_most(f"{what}: loss", abs(float(loss) / float(exact_loss) - 1), 1e-6)
    whole = {name: grad.full_tensor() if hasattr(grad, "full_tensor") else grad for name, grad in gradients.items()}
    largest = max(float((whole[name] - other).norm() / other.norm()) for name, other in exact.items())
    yield at_most(f"{what}: gradients", largest, 1e-2 if loss.device.type == "cuda" else 1e-5)  # sums of bfloat16 in another order


def four_bits(scale: Scale) -> Iterator[Row]:
    """QLoRA: the loss beside that of the whole weights, and one that falls."""
    if not find_spec("bitsandbytes"):
        yield Row("QLoRA", "not measured: bitsandbytes is not installed")
        return
    with tempfile.TemporaryDirectory() as folder:
        base = load_base(write_base(scale, Path(folder, "base")), scale.dtype, quantization="nf4")
        model = extended(base, scale)
        losses: list[float] = []
        _train(scale, model, dataclasses.replace(SETTINGS, lr=3e-3), 6, lambda step, metrics: losses.append(metrics["loss_nats"] / metrics["num_targets"]))
    whole: list[float] = []
    _train(
        scale, extended(random_base(scale, scale.dtype), scale), SETTINGS, 1, lambda step, metrics: whole.append(metrics["loss_nats"] / metrics["num_targets"])
    )
    yield at_most("QLoRA: first loss beside that of the whole weights", abs(losses[0] / whole[0] - 1), 5e-2)
    yield Row("QLoRA: loss", f"{losses[0]:.4f} -> {losses[-1]:.4f}", "falls", losses[-1] < losses[0])


def resumed(scale: Scale) -> Iterator[Row]:
    """Stopped in the middle of a step and resumed: no farther from an uninterrupted training than another uninterrupted one."""
    settings = dataclasses.replace(SETTINGS, checkpoint_every=2)
    first, second = (_weights(scale, settings, stop=None) for _ in range(2))
    after = _weights(scale, settings, stop=4)
    again, broken = (max(float((one[name] - first[name]).abs().max()) for name in first) for one in (second, after))
    yield Row("resumed after a stop: largest difference of a weight", f"{broken:.1e}", f"{again:.1e}, a rerun's", broken <= max(2 * again, 0.0))


def _weights(scale: Scale, settings: TrainSettings, *, stop: int | None) -> dict[str, torch.Tensor]:
    with tempfile.TemporaryDirectory() as folder:

        def on_step(step: int, metrics: dict[str, float]) -> None:
            if step == stop and not Path(folder, "stopped").exists():
                Path(folder, "stopped").touch()
                raise Stop

        try:
            model = extended(random_base(scale, scale.dtype, layers=2), scale)
            _train(scale, model, settings, 6, on_step, Path(folder, "checkpoints"))
        except Stop:
            model = extended(random_base(scale, scale.dtype, layers=2), scale)
            _train(scale, model, settings, 6, on_step, Path(folder, "checkpoints"))
        return {name: parameter.detach().float().cpu() for name, parameter in trainable_parameters(model).items()}


def _train(scale: Scale, model: CausalModel, settings: TrainSettings, steps: int, on_step: Any, checkpoints: Path | None = None) -> None:
    """Documents that count, some old and some new ids: a model of random weights learns them within steps."""
    first = scale.architecture.vocab_size - 20
    documents = [[first + (copy + place) % 40 for place in range(size - 1)] for copy in range(scale.rows * (steps + 1)) for size in scale.documents]
    tokens = scale.rows * scale.length * steps
    plan = plan_training({"text": (documents, 1.0)}, prefix=0, length=scale.length, rows_per_step=scale.rows, seed=0, tokens=tokens)
    with tempfile.TemporaryDirectory() as folder:
        train(model, plan, settings, checkpoints=checkpoints or Path(folder), on_step=on_step)


def _ways(scale: Scale) -> list[PackedAttention]:
    return ["mask", "flex", "varlen"] if scale.device == "cuda" else ["auto"]


def _workload(scale: Scale) -> Workload:
    width = 4.0 if scale.dtype == torch.float32 else 2.0
    tokens = scale.rows * scale.length * scale.steps
    shape = scale.architecture
    return Workload(shape, scale.new_tokens, scale.lora_rank, scale.length, scale.rows, tokens, weight_bytes=width, micro_rows=scale.rows)


def _peak_flops() -> float | None:
    """Of the device's dense bfloat16 products, by the table of `jp-adapt plan`; None for one that is not in it."""
    if not torch.cuda.is_available():
        return None
    name = device_of(torch.cuda.get_device_name())
    return None if name is None else DEVICES[name].peak_flops


def _wait(scale: Scale) -> None:
    if scale.device == "cuda":
        torch.cuda.synchronize()
