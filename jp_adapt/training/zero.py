"""DeepSpeed's ZeRO: the model in its engine, which shares moments, gradients or weights out and takes the step of our optimizer.

Its own checkpoints are not used: they belong to a number of processes. Ours find moments under `Zero.state`, whole, as `torch.optim.Optimizer.state` has them.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from jp_adapt.core.extras import require_extra

MOMENTS = ("exp_avg", "exp_avg_sq")


class Zero:
    """A loss and its AdamW in an engine of DeepSpeed.

    Attributes:
        engine: stands for the loss; its backward adds up gradients, which it averages over the processes.
    """

    def __init__(self, objective: nn.Module, optimizer: torch.optim.Optimizer, config: Mapping[str, Any], device: torch.device, *, clip_norm: float) -> None:
        deepspeed = _deepspeed(device)
        if not dist.is_initialized():  # one process, which offloads
            os.environ.setdefault("LOCAL_RANK", "0")
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo", store=dist.HashStore(), rank=0, world_size=1)
        # A step is cut into micro-batches by us; the size is one that the engine asks for, and prints. Its own AdamW for CPUs wants a compiler.
        ours = {"train_micro_batch_size_per_gpu": 1, "gradient_clipping": clip_norm}
        settings = {**config, **ours, "zero_force_ds_cpu_optimizer": False}
        partitioned = config["zero_optimization"]["stage"] == 3
        if partitioned:  # one weight after the other, where the engine would put all of them on the device first
            deepspeed.zero.Init(module=objective, config_dict_or_path=settings)
            for layer in objective.modules():
                if hasattr(layer, "lora_A"):  # it computes with weights of its parts
                    for parameter in layer.parameters():
                        deepspeed.zero.register_external_parameter(layer, parameter)
        objective.to(device)
        self.engine, *_ = deepspeed.initialize(model=objective, optimizer=optimizer, config=settings, dist_init_required=False)
        self._optimizer = optimizer
        # AdamW makes its moments in the first step, and a checkpoint must find them before.
        flats = self.engine.optimizer.fp32_partitioned_groups_flat if partitioned else self.engine.optimizer.single_partition_of_fp32_groups
        for flat in flats:
            optimizer.state[flat] = {"step": torch.tensor(0.0), **{name: torch.zeros_like(flat, requires_grad=False) for name in MOMENTS}}
        if not partitioned:
            self.engine.optimizer._lazy_init_hp_params_optimizer_state()

    @property
    def state(self) -> _States:
        """Parameter -> name -> whole value, as in an optimizer; all processes must read it together, and set it to the same values."""
        return _States(self._optimizer)

    def step(self) -> float:
        """Clip, step, and return the gradient's norm before clipping."""
        self.engine.step()
        return float(self.engine.get_global_grad_norm())

    def loaded(self) -> None:
        """Take over parameters that were set from outside."""
        self.engine.optimizer.refresh_fp32_params()


class _States:
    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer

    def __getitem__(self, parameter: nn.Parameter) -> _State:
        return _State(self.optimizer, parameter)


class _State:
    """The moments of one parameter, and the step counter, which all parameters share."""

    def __init__(self, optimizer: torch.optim.Optimizer, parameter: nn.Parameter) -> None:
        self.parameter = parameter
        self.steps = [state["step"] for state in optimizer.state.values()]

    def items(self) -> Iterator[tuple[str, Tensor]]:
        from deepspeed.utils import safe_get_full_optimizer_state

        yield "step", self.steps[0].clone()
        for name in MOMENTS:
            yield name, safe_get_full_optimizer_state(self.parameter, name)

    def __setitem__(self, name: str, value: Tensor) -> None:
        from deepspeed.utils import safe_set_full_optimizer_state

        if name == "step":
            for step in self.steps:
                step.copy_(value)
        else:
            safe_set_full_optimizer_state(self.parameter, value, name)


def _deepspeed(device: torch.device) -> Any:
    """The package, quiet: its log goes to stderr, not into our results, and it compiles nothing."""
    require_extra("deepspeed", "distributed: deepspeed", "use distributed: fsdp")
    if device.type == "cpu":
        os.environ.setdefault("DS_ACCELERATOR", "cpu")  # else it looks for one, and warns
    # torch 2.13 renamed two collectives that DeepSpeed 0.19 calls by their old names.
    warnings.filterwarnings("ignore", r"`torch\.distributed\.\w+_tensor` is deprecated", FutureWarning)
    import deepspeed
    import deepspeed.ops

    for handler in deepspeed.utils.logger.handlers:
        handler.setStream(sys.stderr)
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # on CPUs it would compile sums through shared memory; gloo does them
    return deepspeed
