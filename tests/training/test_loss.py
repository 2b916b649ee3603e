"""The chunked loss equals the plain one: value and every gradient."""

from __future__ import annotations

import pytest
import torch

from jp_adapt.training import loss as loss_module
from jp_adapt.training import objective
from jp_adapt.training.loss import linear_cross_entropy


def tensors(dtype: torch.dtype, *, base_trains: bool = False) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(23, 8, generator=generator, dtype=dtype).requires_grad_()
    base = torch.randn(11, 8, generator=generator, dtype=dtype).requires_grad_(base_trains)
    new = torch.randn(5, 8, generator=generator, dtype=dtype).requires_grad_()
    targets = torch.randint(0, 16, (23,), generator=generator)
    return hidden, base, new, targets


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize(("chunk_bytes", "wide_logits"), [(1, 1), (1_000, 40), (10**6, 100)])
def test_value_and_gradients_equal_full_cross_entropy(dtype, tolerance, chunk_bytes, wide_logits, monkeypatch):
    monkeypatch.setattr(loss_module, "CHUNK_BYTES", chunk_bytes)
    monkeypatch.setattr(loss_module, "WIDE_LOGITS", wide_logits)
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


def test_no_position_with_loss_costs_nothing_and_breaks_nothing():
    hidden, frozen, new, targets = tensors(torch.float64)
    loss = linear_cross_entropy(hidden[:0], frozen, new, targets[:0])
    loss.backward()
    assert loss.item() == 0
    assert not hidden.grad.any()
    assert not new.grad.any()


@pytest.mark.parametrize("scale", [1e3, 1e-6])
def test_logits_too_far_apart_for_a_plain_exponential(scale):
    """exp(logit) alone would be inf, and the p(target) of an unlikely target 0: its logarithm must not be taken from p."""
    hidden, frozen, new, targets = tensors(torch.float64)
    hidden = (hidden.detach() * scale).requires_grad_()
    linear_cross_entropy(hidden, frozen, new, targets).backward()
    expected = hidden.detach().clone().requires_grad_()
    full = torch.nn.functional.cross_entropy(expected @ torch.cat([frozen, new.detach()]).t(), targets, reduction="sum")
    full.backward()
    torch.testing.assert_close(linear_cross_entropy(hidden, frozen, new, targets), full, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(hidden.grad, expected.grad, rtol=1e-10, atol=1e-10)


def test_bfloat16_gradients_are_as_near_the_truth_as_the_plain_way():
    hidden, frozen, new, targets = (value.detach() for value in tensors(torch.float64))

    def error(dtype: torch.dtype, ours: bool) -> float:
        low = hidden.to(dtype).requires_grad_()
        if ours:
            linear_cross_entropy(low, frozen.to(dtype), new.to(dtype), targets).backward()
        else:
            torch.nn.functional.cross_entropy((low @ torch.cat([frozen, new]).to(dtype).t()).float(), targets, reduction="sum").backward()
        exact = hidden.clone().requires_grad_()
        torch.nn.functional.cross_entropy(exact @ torch.cat([frozen, new]).t(), targets, reduction="sum").backward()
        return float((low.grad.double() - exact.grad).norm() / exact.grad.norm())

    assert error(torch.bfloat16, ours=True) <= 1.2 * error(torch.bfloat16, ours=False) < 0.05


def test_a_fused_loss_gets_one_head_and_never_an_empty_batch():
    calls = []

    def fused(hidden, head, targets):
        calls.append(len(targets))
        return torch.nn.functional.cross_entropy(hidden @ head.t(), targets, reduction="sum")

    loss = objective._or_ours(fused)
    hidden, base, new, targets = tensors(torch.float64)
    torch.testing.assert_close(loss(hidden, base, new, targets), linear_cross_entropy(hidden, base, new, targets))
    torch.testing.assert_close(loss(hidden, base, None, targets % 11), linear_cross_entropy(hidden, base, None, targets % 11))
    loss(hidden[:0], base, new, targets[:0]).backward()
    assert calls == [23, 23]
    assert not new.grad.any()
