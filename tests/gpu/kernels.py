"""Losses and gradients of every kernel on the device, against float64 on the CPU; attention of packed documents against one document at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from typing import Any

import torch

from jp_adapt.model.packed import PackedAttention
from jp_adapt.training.loss import linear_cross_entropy
from jp_adapt.training.objective import NextTokenLoss
from tests.gpu.rows import Row, at_most, distance
from tests.gpu.scale import Scale, extended, random_base

LOSS = {torch.float32: 1e-5, torch.bfloat16: 1e-2}
GRADIENT = {torch.float32: 1e-4, torch.bfloat16: 2e-2}
KERNELS = {"liger": "liger_kernel", "cut": "cut_cross_entropy"}


def losses(scale: Scale) -> Iterator[Row]:
    """Our chunked loss, Liger-Kernel's and cut-cross-entropy's, base and new rows apart, over fewer rows of the vocabulary than a model has."""
    vocabulary, new, tokens = min(scale.architecture.vocab_size, 32_000), scale.new_tokens, 512
    generator = torch.Generator().manual_seed(0)
    width = scale.architecture.hidden_size
    hidden, base, extra = (torch.randn(size, width, generator=generator) * spread for size, spread in ((tokens, 1.0), (vocabulary, 0.02), (new, 0.02)))
    targets = torch.randint(0, vocabulary + new, (tokens,), generator=generator)
    kernels: dict[str, Any] = {"chunked": linear_cross_entropy}
    for name, package in KERNELS.items():
        if scale.device == "cuda" and find_spec(package):
            kernels[name] = NextTokenLoss(extended(random_base(scale, scale.dtype, layers=1), scale), name).cross_entropy  # type: ignore[arg-type]
        else:
            yield Row(f"loss {name}", "not measured: " + ("not installed" if scale.device == "cuda" else "no GPU"))
    for dtype in dict.fromkeys((torch.float32, scale.dtype)):
        given = [tensor.to(dtype) for tensor in (hidden, base, extra)]
        exact = _loss(linear_cross_entropy, [tensor.double() for tensor in given], targets, "cpu")
        for name, kernel in kernels.items():
            if name != "chunked" and dtype == torch.float32 and scale.dtype != torch.float32:
                continue  # they are for the type of the computation
            own = _loss(kernel, given, targets, scale.device)
            short = str(dtype).removeprefix("torch.")
            yield at_most(f"loss {name}, {short}: loss", distance(own[0], exact[0]), LOSS[dtype])
            for place, of in enumerate(("hidden states", "base rows", "new rows"), start=1):
                yield at_most(f"loss {name}, {short}: gradient of {of}", distance(own[place], exact[place]), GRADIENT[dtype])


def _loss(kernel: Callable[..., torch.Tensor], given: list[torch.Tensor], targets: torch.Tensor, device: str) -> list[torch.Tensor]:
    leaves = [tensor.detach().to(device).requires_grad_() for tensor in given]
    loss = kernel(*leaves, targets.to(device))
    return [loss, *torch.autograd.grad(loss, leaves)]


def attention(scale: Scale) -> Iterator[Row]:
    """Hidden states and gradients of two blocks over packed rows, by every attention, against float32 that is given one document at a time."""
    ids, positions = scale.ids(), scale.positions()
    exact = _states(scale, torch.float32, "mask", ids, positions, alone=True)
    bound: list[float] | None = None
    ways: list[PackedAttention] = ["auto", "mask", "flex", "varlen"] if scale.device == "cuda" else ["auto", "mask"]
    for dtype in dict.fromkeys((torch.float32, scale.dtype)):
        for way in ways:
            if way == "varlen" and dtype == torch.float32:
                continue
            errors = [distance(own, best) for own, best in zip(_states(scale, dtype, way, ids, positions), exact, strict=True)]
            short = str(dtype).removeprefix("torch.")
            if way == "auto" and dtype != torch.float32:
                bound = [1.5 * error + 1e-3 for error in errors]  # what rounding costs with torch's own kernel, and half as much again
            for of, error, limit in zip(("states", "gradients of new rows", "gradients of LoRA"), errors, bound or [1e-4] * 3, strict=True):
                yield at_most(f"attention {way}, {short}: {of}", error, limit)
    if scale.device != "cuda":
        yield Row("attention flex, varlen", "not measured: no GPU")


def _states(scale: Scale, dtype: torch.dtype, way: PackedAttention, ids: torch.Tensor, positions: torch.Tensor, *, alone: bool = False) -> list[torch.Tensor]:
    model = extended(random_base(scale, torch.float32, layers=2), scale)
    if dtype != torch.float32:
        model.base.to(dtype)
        model.dtype = dtype
    model.attention = way
    if alone:
        starts = [[0, *[place for place in range(1, ids.shape[1]) if row[place] == 0], ids.shape[1]] for row in positions.tolist()]
        parts = [
            torch.cat([model(ids[row : row + 1, first:last], positions[row : row + 1, first:last]) for first, last in pairwise(cuts)], dim=1)
            for row, cuts in enumerate(starts)
        ]
        states = torch.cat(parts)
    else:
        states = model(ids, positions)
    weights = torch.linspace(-1, 1, states.shape[-1], device=states.device)
    (states.float() * weights).square().sum().backward()
    lora = [parameter.grad.flatten() for name, parameter in sorted(model.named_parameters()) if ".lora_" in name and parameter.grad is not None]
    assert model.new_input is not None
    assert model.new_input.grad is not None
    return [states, model.new_input.grad, torch.cat(lora)]


def package_versions() -> str:
    """Versions of what is compared, where it is installed."""
    names = ("torch", "transformers", "peft", "trl", "liger_kernel", "cut_cross_entropy", "bitsandbytes", "unsloth", "vllm")
    return (
        ", ".join(f"{name} {getattr(import_module(name), '__version__', '?')}" for name in names[:2])
        + "; "
        + ", ".join(f"{name} {'installed' if find_spec(name) else 'not installed'}" for name in names[2:])
    )
