"""Linear layers of one input, with LoRA and without, equal each by itself."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from jp_adapt.model.lean.projection import Projection, Update
from tests.properties import examples


def _layers(widths: list[int], inputs: int, ranks: list[int], dtype: torch.dtype) -> tuple[list[nn.Linear], list[Update | None]]:
    torch.manual_seed(0)
    layers = [nn.Linear(inputs, width, bias=False, dtype=dtype).requires_grad_(False) for width in widths]
    updates = [
        Update(nn.Parameter(torch.randn(rank, inputs, dtype=dtype)), nn.Parameter(torch.randn(width, rank, dtype=dtype)), 0.3 + place) if rank else None
        for place, (width, rank) in enumerate(zip(widths, ranks, strict=True))
    ]
    return layers, updates


def _plainly(x: Tensor, layer: nn.Linear, update: Update | None) -> Tensor:
    out = layer(x)
    return out if update is None else out + update.scaling * (x @ update.down.t() @ update.up.t())


@examples(60)
@given(
    shapes=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 5)), min_size=1, max_size=3),
    inputs=st.integers(1, 12),
    rows=st.integers(1, 20),
)
def test_equals_each_layer_by_itself(shapes, inputs, rows):
    widths, ranks = [width for width, _ in shapes], [rank for _, rank in shapes]
    layers, updates = _layers(widths, inputs, ranks, torch.float64)
    x = torch.randn(rows, inputs, dtype=torch.float64, requires_grad=True)
    expected = torch.cat([_plainly(x, layer, update) for layer, update in zip(layers, updates, strict=True)], dim=1)
    projection = Projection(layers, updates)
    grad = torch.randn_like(expected)
    trained = [parameter for update in updates if update for parameter in (update.down, update.up)]
    expected_grads = torch.autograd.grad(expected, [x, *trained], grad)
    with torch.no_grad():
        results, lows = projection.forward(x)
        torch.testing.assert_close(torch.cat(results, dim=1), expected)
        grad_x, grads = projection.backward([part.contiguous() for part in grad.split(widths, dim=1)], x, lows)
    assert len(lows) == projection.num_updates
    assert all(own is other for own, other in zip(projection.parameters, trained, strict=True))
    for own, other in zip([grad_x, *grads], expected_grads, strict=True):
        torch.testing.assert_close(own, other)


def test_matrices_of_float32_compute_in_the_type_of_the_weights():
    layers, updates = _layers([4], 3, [2], torch.float32)
    projection = Projection([layers[0].to(torch.bfloat16)], updates)
    x = torch.randn(5, 3).to(torch.bfloat16)
    with torch.no_grad():
        (out,), lows = projection.forward(x)
        grad_x, grads = projection.backward([torch.ones_like(out)], x, lows)
    assert out.dtype == grad_x.dtype == torch.bfloat16
    assert [grad.dtype for grad in grads] == [torch.float32, torch.float32]
