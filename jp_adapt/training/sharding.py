"""FSDP2: one model spread over all processes, each block of it gathered while it computes.

`fully_shard` of PyTorch is used as it is, and not through accelerate: the root must be the model and not the loss around it, so that held-out figures and
samples gather weights too, and checkpoints must stay those of one process. A module's parameters are its shards between two passes, as DTensors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from jp_adapt.model.causal import CausalModel
from jp_adapt.model.lora import plain_name

HELD = -1  # stands among the numbers of modules that use a parameter of ZeRO-3


def shard_model(model: CausalModel, device: torch.device) -> None:
    """Spread the parameters of `model` over all processes, on `device`. Values are those of rank 0; the others may hold none (meta tensors).

    No process ever holds more on its device than its shards and one block.
    """
    values = {name: parameter.detach() for name, parameter in model.named_parameters()}
    owners = _owners(model)
    trains = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    _put(owners, {name: nn.Parameter(value.to("meta"), trains[name]) for name, value in values.items()})
    for buffer_owner, name, buffer in [(module, name, buffer) for module in model.modules() for name, buffer in module.named_buffers(recurse=False)]:
        setattr(buffer_owner, name, buffer.to(device))
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    # Weights that train are float32, and compute in the model's type; gradients are added up in float32.
    mixed = model.body_trains and model.dtype != torch.float32
    policy = MixedPrecisionPolicy(param_dtype=model.dtype, reduce_dtype=torch.float32) if mixed else MixedPrecisionPolicy()
    for layer in model.body.layers:
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy)
    shards = {}
    for name, empty in model.named_parameters():
        value = values.pop(name)
        whole_value = value.to(device) if dist.get_rank() == 0 else torch.empty(value.shape, dtype=value.dtype, device=device)
        dist.broadcast(whole_value, src=0)
        local = distribute_tensor(whole_value, empty.device_mesh, empty.placements, src_data_rank=None)
        shards[name] = nn.Parameter(local, trains[name])
    _put(owners, shards)
    for module in _sharded_modules(model):
        module.unshard()  # now and not under inference_mode, whose tensors cannot be used in training
        module.reshard()


def gather_trained(model: CausalModel, *, keep: bool) -> None:
    """Put the whole values of what trained, now or in an earlier stage, into `model`, on the CPU and where `keep` says so. All processes must call this."""
    reshard(model)
    owners = _owners(model)
    wanted = {f"base.{name}" for name in model.trained}
    results = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad or plain_name(name) in wanted:
            value = whole(parameter).detach()
            if keep:
                results[name] = nn.Parameter(value.cpu(), parameter.requires_grad)
    _put(owners, results)


def reshard(model: CausalModel) -> None:
    """Let go of whole parameters that a pass left behind, so that shards that change next are gathered anew."""
    for module in _sharded_modules(model):
        module.reshard()


def whole(tensor: Tensor) -> Tensor:
    """The whole of a sharded tensor, for which all processes must call this; any other as it is."""
    if isinstance(tensor, DTensor):
        return tensor.full_tensor()
    if not partitioned(tensor):
        return tensor
    with gathered([tensor]):
        return tensor.detach().clone()


def partitioned(tensor: Tensor) -> bool:
    """Whether this is a parameter of which ZeRO-3 holds but a part on each process."""
    return hasattr(tensor, "ds_id")


@contextmanager
def gathered(parameters: Iterable[Tensor]) -> Iterator[None]:
    """Parameters of ZeRO-3 whole on every process while the block runs, and shared out anew with the values of rank 0 then; any others as they are."""
    results: list[Any] = [parameter for parameter in parameters if partitioned(parameter)]
    if not results:
        yield
        return
    from deepspeed.runtime.zero import GatheredParameters

    with GatheredParameters(results, modifier_rank=0):
        for parameter in results:
            parameter.ds_active_sub_modules.add(HELD)  # else the module that it belongs to lets go of it after its pass
        try:
            yield
        finally:
            for parameter in results:
                parameter.ds_active_sub_modules.discard(HELD)


def is_sharded(model: nn.Module) -> bool:
    """Whether a pass through `model` needs all processes."""
    return any(isinstance(module, FSDPModule) for module in model.modules()) or any(map(partitioned, model.parameters()))


def placed_like(value: Tensor, parameter: Tensor) -> Tensor:
    """A whole value, the same on every process, on the device of `parameter` and sharded as it is."""
    if isinstance(parameter, DTensor):
        placed: Tensor = distribute_tensor(value, parameter.device_mesh, parameter.placements, src_data_rank=None)
        return placed
    return value.to(parameter.device)


def _sharded_modules(model: nn.Module) -> Iterator[FSDPModule]:
    return (module for module in model.modules() if isinstance(module, FSDPModule))


def _owners(model: nn.Module) -> dict[str, list[tuple[nn.Module, str]]]:
    """Name of each parameter -> all modules that hold it, and under which name: tied heads and new rows have several."""
    by_id: dict[int, list[tuple[nn.Module, str]]] = {}
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
            by_id.setdefault(id(parameter), []).append((module, name))
    return {name: by_id[id(parameter)] for name, parameter in model.named_parameters()}


def _put(owners: dict[str, list[tuple[nn.Module, str]]], parameters: dict[str, Any]) -> None:
    for name, parameter in parameters.items():
        for module, attribute in owners[name]:
            setattr(module, attribute, parameter)
