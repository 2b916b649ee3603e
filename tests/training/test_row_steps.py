"""Steps of new rows that go through a matrix: what the matrix is, and that they are AdamW's in the coordinates that it makes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from jp_adapt.training.row_steps import RowAdamW, whitening

SETTINGS = {"betas": (0.9, 0.95), "eps": 1e-3}


def states() -> torch.Tensor:
    """[3000, 16] that share a direction of length 30, vary by 3 along another one, and by 1 along all others."""
    values = torch.randn(3_000, 16, generator=torch.Generator().manual_seed(0))
    values[:, 2] *= 3
    values[:, 5] += 30
    return values


def test_directions_in_which_states_are_long_shrink_and_the_others_stay() -> None:
    matrix = whitening(states())
    torch.testing.assert_close(matrix, matrix.t())
    expected = torch.ones(16)
    expected[2], expected[5] = 1 / 3, 1 / 30
    torch.testing.assert_close(matrix.diagonal(), expected, rtol=0.0, atol=0.06)
    assert float((matrix - matrix.diagonal().diag()).abs().max()) < 0.06
    assert float(torch.linalg.eigvalsh(matrix).max()) <= 1 + 1e-5, "nothing is stretched"


def test_states_in_few_directions_give_a_matrix_without_infinities() -> None:
    flat = torch.zeros(100, 8)
    flat[:, 3] = 2.0
    assert torch.isfinite(whitening(flat)).all()


@pytest.mark.parametrize("sharing", [False, True])
def test_steps_are_those_of_adamw_on_coordinates_that_the_matrices_make_rows_of(sharing: bool) -> None:
    torch.manual_seed(0)
    matrix, features, first = whitening(states()), torch.randn(5, 3), torch.randn(5, 16)
    inputs, goal = torch.randn(40, 16), torch.randn(40, 5)
    rows, other, shared = nn.Parameter(first.clone()), nn.Parameter(torch.ones(5)), nn.Parameter(torch.zeros(3, 16))
    coordinates, same, together = nn.Parameter(torch.zeros(5, 16)), nn.Parameter(torch.ones(5)), nn.Parameter(torch.zeros(3, 16))

    def groups(*parameters: nn.Parameter) -> list[dict[str, Any]]:
        settings = zip(parameters, (0.03, 0.1, 0.02), (0.0, 0.1, 0.0), strict=False)
        return [{"params": [parameter], "lr": lr, "weight_decay": decay} for parameter, lr, decay in settings]

    optimizer = RowAdamW(groups(rows, other, *([shared] if sharing else [])), rows, shared=shared if sharing else None, **SETTINGS)
    optimizer.prepare(matrix, features if sharing else None)
    reference = torch.optim.AdamW(groups(coordinates, same, *([together] if sharing else [])), **SETTINGS)
    for _ in range(20):
        as_rows = first + (coordinates + features @ together) @ matrix
        for head, bias, steps in ((rows, other, optimizer), (as_rows, same, reference)):
            ((inputs @ head.t() + bias - goal) ** 2).mean().backward()
            steps.step()
            steps.zero_grad()
    expected = first + (coordinates + features @ together) @ matrix
    torch.testing.assert_close(rows.detach(), expected.detach(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(other.detach(), same.detach())
    assert float((rows.detach() - first).abs().max()) > 0.1
    assert (float(shared.detach().abs().max()) > 0.1) is sharing


def test_a_row_without_gradient_stays_to_the_bit_and_a_closure_is_refused() -> None:
    rows = nn.Parameter(torch.randn(3, 16, generator=torch.Generator().manual_seed(1)))
    before = rows.detach().clone()
    optimizer = RowAdamW([{"params": [rows], "lr": 0.1, "weight_decay": 0.0}], rows, **SETTINGS)
    optimizer.prepare(whitening(states()))
    optimizer.step()
    assert torch.equal(rows, before), "no gradient at all"
    rows.grad = torch.zeros_like(rows)
    rows.grad[1] = 1.0
    optimizer.step()
    assert torch.equal(rows[[0, 2]], before[[0, 2]])
    assert not torch.equal(rows[1], before[1])
    with pytest.raises(ValueError, match="closure"):
        optimizer.step(lambda: 0.0)
