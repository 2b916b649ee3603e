"""RMSNorm, SwiGLU and the rotary embedding equal transformers' modules, for values and gradients."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from transformers.models.llama.modeling_llama import LlamaRMSNorm, apply_rotary_pos_emb

from jp_adapt.model.lean.gated import swiglu, swiglu_backward
from jp_adapt.model.lean.norm import rms_norm, rms_norm_again, rms_norm_backward
from jp_adapt.model.lean.rotary import rotate
from tests.properties import examples

sizes = st.integers(1, 40)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def errors(results: list[Tensor], exact: list[Tensor]) -> list[float]:
    return [float((own.double() - best).norm() / best.norm().clamp(min=1e-300)) for own, best in zip(results, exact, strict=True)]


def _lean_norm(x: Tensor, weight: Tensor, grad: Tensor) -> list[Tensor]:
    out, inverse = rms_norm(x, weight, 1e-5)
    assert torch.equal(rms_norm_again(x, weight, inverse), out)
    return [out, rms_norm_backward(grad, x, weight, inverse)]


def _plain_norm(x: Tensor, weight: Tensor, grad: Tensor) -> list[Tensor]:
    x = x.clone().requires_grad_()
    out = x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-5) * weight
    return [out.detach(), *torch.autograd.grad(out, x, grad)]


def _transformers_norm(x: Tensor, weight: Tensor, grad: Tensor) -> list[Tensor]:
    norm = LlamaRMSNorm(x.shape[1], 1e-5)
    norm.weight.data = weight
    x = x.clone().requires_grad_()
    out = norm(x)
    return [out.detach(), *torch.autograd.grad(out, x, grad)]


@examples(60)
@given(rows=sizes, width=st.integers(4, 40))  # narrower, the gradient is what is left of terms that cancel
def test_norm_in_float64(rows, width):
    inputs = random(rows, width) * 3 + 1, random(width, seed=1), random(rows, width, seed=2) + 0.5
    assert max(errors(_lean_norm(*inputs), _plain_norm(*inputs))) < 1e-12


def _lean_gated(gate: Tensor, up: Tensor, grad: Tensor) -> list[Tensor]:
    gated, silu = swiglu(gate, up)
    return [gated, *swiglu_backward(grad, gate, up, silu)]


def _plain_gated(gate: Tensor, up: Tensor, grad: Tensor) -> list[Tensor]:
    inputs = gate.clone().requires_grad_(), up.clone().requires_grad_()
    out = torch.nn.functional.silu(inputs[0]) * inputs[1]
    return [out.detach(), *torch.autograd.grad(out, inputs, grad)]


@examples(60)
@given(rows=sizes, width=sizes)
def test_gated_in_float64(rows, width):
    inputs = random(rows, width) * 4, random(rows, width, seed=1), random(rows, width, seed=2)
    assert max(errors(_lean_gated(*inputs), _plain_gated(*inputs))) < 1e-12


def _tables(dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    angles = (torch.arange(7, dtype=torch.float64)[:, None] * 0.7 ** torch.arange(4)).repeat(1, 2)
    return angles.cos().to(dtype), angles.sin().to(dtype)


def _lean_rotary(x: Tensor, grad: Tensor) -> list[Tensor]:
    cos, sin = _tables(x.dtype)
    return [rotate(x, cos, sin[..., :4]), rotate(grad, cos, -sin[..., :4])]


def _transformers_rotary(x: Tensor, grad: Tensor) -> list[Tensor]:
    x = x.clone().requires_grad_()
    out, _ = apply_rotary_pos_emb(x, x, *(table[None] for table in _tables(x.dtype)))
    return [out.detach(), *torch.autograd.grad(out, x, grad)]


def test_rotary_in_float64():
    inputs = random(2, 3, 7, 8), random(2, 3, 7, 8, seed=1)
    assert max(errors(_lean_rotary(*inputs), _transformers_rotary(*inputs))) < 1e-12


@pytest.mark.parametrize(
    ("lean", "theirs", "shapes"),
    [
        (_lean_norm, _transformers_norm, [(50, 64), (64,), (50, 64)]),
        (_lean_gated, _plain_gated, [(50, 64), (50, 64), (50, 64)]),
        (_lean_rotary, _transformers_rotary, [(2, 3, 7, 8), (2, 3, 7, 8)]),
    ],
)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rounding_is_that_of_transformers(lean: Callable[..., list[Tensor]], theirs: Callable[..., list[Tensor]], shapes, dtype):
    inputs = [random(*shape, seed=seed) + 0.3 for seed, shape in enumerate(shapes)]
    exact = {_lean_norm: _plain_norm, _lean_gated: _plain_gated, _lean_rotary: _transformers_rotary}[lean](*inputs)
    low = [tensor.to(dtype) for tensor in inputs]
    for own, other in zip(errors(lean(*low), exact), errors(theirs(*low), exact), strict=True):
        assert own <= 1.2 * other
