"""The chunked loss equals the plain one: value and every gradient."""

from __future__ import annotations

import pytest
import torch

from jp_adapt.training import loss as loss_module
from jp_adapt.training.loss import linear_cross_entropy


def tensors(dtype: torch.dtype, *, base_trains: bool = False) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(23, 8, generator=generator, dtype=dtype).requires_grad_()
    base = torch.randn(11, 8, generator=generator, dtype=dtype).requires_grad_(base_trains)
    new = torch.randn(5, 8, generator=generator, dtype=dtype).requires_grad_()
    targets = torch.randint(0, 16, (23,), generator=generator)
    return hidden, base, new, targets


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("chunk_logits", [1, 40, 10**6])
def test_value_and_gradients_equal_full_cross_entropy(dtype, tolerance, chunk_logits, monkeypatch):
    monkeypatch.setattr(loss_module, "CHUNK_LOGITS", chunk_logits)
    hidden, base, new, targets = tensors(dtype, base_trains=True)
    ours = linear_cross_entropy(hidden, base, new, targets)
    (ours * 0.3).backward()
    got = ours.detach(), hidden.grad.clone(), base.grad.clone(), new.grad.clone()
    hidden.grad = base.grad = new.grad = None
    full = torch.nn.functional.cross_entropy(hidden @ torch.cat([base, new]).t(), targets, reduction="sum")
    (full * 0.3).backward()
    for value, expected in zip(got, (full.detach(), hidden.grad, base.grad, new.grad), strict=True):
        torch.testing.assert_close(value, expected, rtol=tolerance, atol=tolerance)


def test_frozen_rows_get_no_gradient_and_change_no_other():
    gradients = []
    for base_trains in (False, True):
        hidden, base, new, targets = tensors(torch.float64, base_trains=base_trains)
        linear_cross_entropy(hidden, base, new, targets).backward()
        gradients.append((hidden.grad, new.grad))
        assert (base.grad is not None) == base_trains
    assert all(torch.equal(*pair) for pair in zip(*gradients, strict=True))


def test_without_new_rows_the_head_is_that_of_the_base():
    hidden, base, _, targets = tensors(torch.float64)
    linear_cross_entropy(hidden, base, None, targets % 11).backward()
    expected = hidden.detach().clone().requires_grad_()
    torch.nn.functional.cross_entropy(expected @ base.t(), targets % 11, reduction="sum").backward()
    torch.testing.assert_close(hidden.grad, expected.grad)


def test_gradcheck_in_float64():
    hidden, base, new, targets = tensors(torch.float64, base_trains=True)
    assert torch.autograd.gradcheck(lambda *tensors: linear_cross_entropy(*tensors, targets), (hidden, base, new))
