"""The chunked loss equals the plain one: value and every gradient."""

from __future__ import annotations

import pytest
import torch

from jp_adapt.training import loss as loss_module
from jp_adapt.training.loss import linear_cross_entropy


def tensors(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(23, 8, generator=generator, dtype=dtype).requires_grad_()
    frozen = torch.randn(11, 8, generator=generator, dtype=dtype)
    new = torch.randn(5, 8, generator=generator, dtype=dtype).requires_grad_()
    targets = torch.randint(0, 16, (23,), generator=generator)
    return hidden, frozen, new, targets


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("chunk_logits", [1, 40, 10**6])
def test_value_and_gradients_equal_full_cross_entropy(dtype, tolerance, chunk_logits, monkeypatch):
    monkeypatch.setattr(loss_module, "CHUNK_LOGITS", chunk_logits)
    hidden, frozen, new, targets = tensors(dtype)
    ours = linear_cross_entropy(hidden, frozen, new, targets)
    (ours * 0.3).backward()
    got = ours.detach(), hidden.grad.clone(), new.grad.clone()
    hidden.grad = new.grad = None
    full = torch.nn.functional.cross_entropy(hidden @ torch.cat([frozen, new]).t(), targets, reduction="sum")
    (full * 0.3).backward()
    for value, expected in zip(got, (full.detach(), hidden.grad, new.grad), strict=True):
        torch.testing.assert_close(value, expected, rtol=tolerance, atol=tolerance)


def test_without_new_rows_only_hidden_gets_a_gradient():
    hidden, frozen, _, targets = tensors(torch.float64)
    targets = targets % 11
    frozen.requires_grad_()
    linear_cross_entropy(hidden, frozen, None, targets).backward()
    assert frozen.grad is None
    expected = hidden.detach().clone().requires_grad_()
    torch.nn.functional.cross_entropy(expected @ frozen.detach().t(), targets, reduction="sum").backward()
    torch.testing.assert_close(hidden.grad, expected.grad)


def test_gradcheck_in_float64():
    hidden, frozen, new, targets = tensors(torch.float64)
    assert torch.autograd.gradcheck(lambda h, n: linear_cross_entropy(h, frozen, n, targets), (hidden, new))
