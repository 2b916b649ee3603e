"""Attention over a memory is that of each text by itself, whatever rows and pieces a pass has."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from jp_adapt.inference.attention_memory import AttentionMemory, Piece

HEADS, GROUPS, DIM, LENGTH, SCALING = 2, 3, 4, 20, 0.3


def text(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Query, keys and values [heads, LENGTH, D] of a text in one layer."""
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(heads, LENGTH, DIM, generator=generator) for heads in (HEADS * GROUPS, HEADS, HEADS))


def alone(query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """[T, query heads, D] by the definition; `mask` [T, S]."""
    scores = torch.einsum("htd,hsd->hts", query, keys.repeat_interleave(GROUPS, 0)) * SCALING
    return (scores.masked_fill(~mask, float("-inf")).softmax(-1) @ values.repeat_interleave(GROUPS, 0)).transpose(0, 1)


def causal(name: tuple[Tensor, Tensor, Tensor], start: int, end: int) -> Tensor:
    query, keys, values = name
    return alone(query[:, start:end], keys[:, :end], values[:, :end], torch.ones(end, end, dtype=torch.bool).tril()[start:])


def attend(memory: AttentionMemory, *slices: tuple[tuple[Tensor, Tensor, Tensor], int, int]) -> Tensor:
    """One pass through two layers, of which the second has other values, over positions of texts."""
    query, keys, values = (torch.cat([name[which][:, start:end] for name, start, end in slices], dim=1)[None] for which in range(3))
    first = memory.attend(query, *memory.update(keys, values, 0), SCALING)
    second = memory.attend(query, *memory.update(keys, 2 * values, 1), SCALING)
    assert torch.allclose(second, 2 * first, atol=1e-6 if first.dtype == torch.float32 else 2e-2)
    return first[0]


def test_answers_and_prompts_in_one_pass():
    one, two, three = map(text, range(3))
    memory = AttentionMemory(2, LENGTH, torch.float32, torch.device("cpu"))
    memory.plan([], [Piece(0, 5), Piece(5, 9, row=0)])
    assert torch.allclose(attend(memory, (one, 0, 5), (one, 5, 9)), causal(one, 0, 9), atol=1e-6)

    memory.plan([9], [Piece(0, 3, row=1), Piece(0, 4)])
    expected = torch.cat([causal(one, 9, 10), causal(two, 0, 3), causal(three, 0, 4)])
    assert torch.allclose(attend(memory, (one, 9, 10), (two, 0, 3), (three, 0, 4)), expected, atol=1e-6)

    memory.plan([10, 3], [Piece(4, 6)])
    expected = torch.cat([causal(one, 10, 11), causal(two, 3, 4), causal(three, 4, 6)])
    assert torch.allclose(attend(memory, (one, 10, 11), (two, 3, 4), (three, 4, 6)), expected, atol=1e-6)

    memory.move(1, 0, 4)
    memory.plan([4], [Piece(6, 7)])
    assert torch.allclose(attend(memory, (two, 4, 5), (three, 6, 7)), torch.cat([causal(two, 4, 5), causal(three, 6, 7)]), atol=1e-6)


def test_a_mask_says_what_a_piece_sees():
    """Two branches behind three tokens, the second of which does not see the first."""
    stem, left, right = map(text, range(3))
    mask = torch.ones(4, 7, dtype=torch.bool).tril(3)
    mask[2:, 3:5] = False
    memory = AttentionMemory(0, LENGTH, torch.float32, torch.device("cpu"))
    memory.plan([], [Piece(0, 3)])
    attend(memory, (stem, 0, 3))
    memory.plan([], [Piece(3, 7, mask)])
    got = attend(memory, (left, 3, 5), (right, 3, 5))
    for at, branch in ((0, left), (2, right)):
        whole = tuple(torch.cat([before[:, :3], behind[:, 3:5]], dim=1) for before, behind in zip(stem, branch, strict=True))
        assert torch.allclose(got[at : at + 2], causal(whole, 3, 5), atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_in_half_precision(dtype):
    whole = text(0)
    half = tuple(part.to(dtype) for part in whole)
    memory = AttentionMemory(1, LENGTH, dtype, torch.device("cpu"))
    memory.plan([], [Piece(0, 9, row=0)])
    assert torch.allclose(attend(memory, (half, 0, 9)).float(), causal(whole, 0, 9), atol=2e-2)
    memory.plan([9], [])
    assert torch.allclose(attend(memory, (half, 9, 10)).float(), causal(whole, 9, 10), atol=2e-2)
