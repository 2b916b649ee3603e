"""Attention of documents equals torch's, for values and gradients, whatever lies in a row."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from jp_adapt.model.attention import DOCUMENT_ATTENTION, TILE, document_attention, documents_in
from jp_adapt.model.causal import CausalModel, load_base


def _inputs(rows: int, length: int, dtype: torch.dtype, *, heads: int = 6, kv_heads: int = 2, dim: int = 8) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(length)
    shapes = [(rows, length, count, dim) for count in (heads, kv_heads, kv_heads)]
    return [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype).transpose(1, 2).requires_grad_() for shape in shapes]


def _reference(inputs: list[torch.Tensor], positions: torch.Tensor, scaling: float) -> torch.Tensor:
    """SDPA with a mask that says who sees whom: the same document, and not later."""
    rows, length = positions.shape
    number = torch.zeros_like(positions)
    for row in range(rows):
        for place in range(1, length):
            number[row, place] = number[row, place - 1] + int(positions[row, place] != positions[row, place - 1] + 1)
    mask = (number[:, :, None] == number[:, None, :]) & torch.ones(length, length, dtype=torch.bool).tril()
    query, key, value = inputs
    return torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None], scale=scaling, enable_gqa=True).transpose(1, 2)


def _values_and_gradients(attend, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    out = attend(inputs)
    weights = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view(out.shape)
    return [out.detach(), *torch.autograd.grad((out * weights).sum(), inputs)]


@given(sizes=st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=4), min_size=1, max_size=3))
def test_equals_sdpa_with_a_mask(sizes):
    length = max(map(sum, sizes))
    rows = [[place for size in [*row, length - sum(row)] for place in range(size)] for row in sizes]
    positions = torch.tensor(rows)
    inputs = _inputs(len(rows), length, torch.float64)
    ours = _values_and_gradients(lambda tensors: document_attention(*tensors, documents_in(positions), 0.3), inputs)
    for own, theirs in zip(ours, _values_and_gradients(lambda tensors: _reference(tensors, positions, 0.3), inputs), strict=True):
        torch.testing.assert_close(own, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, None)])
def test_documents_longer_than_a_tile(dtype, bound):
    sizes = (TILE + 5, 3, 2 * TILE, TILE)
    positions = torch.tensor([[place for size in sizes for place in range(size)]])
    inputs = _inputs(1, sum(sizes), dtype)
    exact = _values_and_gradients(lambda tensors: _reference(tensors, positions, 0.35), [tensor.detach().double().requires_grad_() for tensor in inputs])

    def errors(results: list[torch.Tensor]) -> list[float]:
        return [float((own.double() - best).norm() / best.norm()) for own, best in zip(results, exact, strict=True)]

    ours = errors(_values_and_gradients(lambda tensors: document_attention(*tensors, documents_in(positions), 0.35), inputs))
    if bound is None:  # bfloat16 rounds; no more than twice what torch's own kernel does
        theirs = errors(_values_and_gradients(lambda tensors: _reference(tensors, positions, 0.35), inputs))
        assert all(own <= 2 * other for own, other in zip(ours, theirs, strict=True)), (ours, theirs)
    else:
        assert max(ours) <= bound


def test_documents_are_found_by_their_positions():
    assert documents_in(torch.tensor([[0, 1, 2, 0, 1], [5, 6, 7, 8, 9]])) == [(0, 0, 3), (0, 3, 5), (1, 0, 5)]
    assert documents_in(torch.tensor([[0, 0, 0]])) == [(0, 0, 1), (0, 1, 2), (0, 2, 3)]


def test_a_model_trains_with_it_and_scores_with_sdpa_under_a_mask(pico):
    """The model calls it where positions are given, gets eager's gradients, and under a mask goes through SDPA to the same states."""
    base = load_base(pico, torch.float32)
    assert base.config._attn_implementation == DOCUMENT_ATTENTION
    eager = AutoModelForCausalLM.from_pretrained(pico, attn_implementation="eager")
    ids = torch.randint(0, 400, (2, 30), generator=torch.Generator().manual_seed(1))
    positions = torch.tensor([[*range(12), *range(18)], [*range(30)]])
    model, reference = CausalModel(base), CausalModel(eager)
    for each in (model, reference):
        each.unfreeze(body=True, embeddings=False)
    ours, theirs = model(ids, positions), reference(ids, positions)
    assert "_DocumentAttention" in _graph(ours), "our attention was not used"
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)
    for each in (ours, theirs):
        each.square().sum().backward()
    for (name, own), (_, other) in zip(model.body.named_parameters(), reference.body.named_parameters(), strict=True):
        if own.grad is not None:
            torch.testing.assert_close(own.grad, other.grad, rtol=1e-4, atol=1e-4, msg=name)
    model.attention = "mask"
    masked = model(ids[1:], positions[1:])
    assert "_DocumentAttention" not in _graph(masked)
    torch.testing.assert_close(masked, ours[1:], rtol=1e-5, atol=1e-5)


def _graph(tensor: torch.Tensor) -> str:
    """The names of the operations that made a tensor."""
    names, open_nodes, seen = [], [tensor.grad_fn], set()
    while open_nodes:
        node = open_nodes.pop()
        if node is not None and node not in seen:
            seen.add(node)
            names.append(node.name())
            open_nodes += [next_node for next_node, _ in node.next_functions]
    return " ".join(names)
