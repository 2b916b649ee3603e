"""Every attention of packed documents gives what SDPA under a mask gives, as far as a CPU can run it; the rest is for `make gpu`."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.core.errors import UsageError
from jp_adapt.model.attention import documents_in
from jp_adapt.model.causal import CausalModel, load_base
from jp_adapt.model.packed import check_attention, document_ends, document_numbers, packed_attention

pytestmark = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
SIZES = ((5, 40, 3), (48,), (1, 1, 46))
POSITIONS = torch.tensor([[place for size in row for place in range(size)] for row in SIZES])


def _inputs(heads: int = 6, kv_heads: int = 2, dim: int = 8) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(len(SIZES), count, 48, dim, generator=generator) for count in (heads, kv_heads, kv_heads)]


@given(sizes=st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=4), min_size=1, max_size=3))
def test_documents_end_where_ours_do(sizes):
    length = max(map(sum, sizes))
    rows = [[place for size in [*row, length - sum(row)] for place in range(size)] for row in sizes]
    positions = torch.tensor(rows)
    documents = documents_in(positions)
    assert document_ends(positions).tolist() == [0] + [row * length + end for row, _, end in documents]
    numbers = document_numbers(positions)
    for row, start, end in documents:
        assert numbers[row, start:end].unique().numel() == 1
        assert end == length or numbers[row, end] == numbers[row, start] + 1


@torch.no_grad()
def test_flex_sees_what_ours_sees():
    query, key, value = _inputs()
    ours, flex = (packed_attention(way, POSITIONS) for way in ("auto", "flex"))
    torch.testing.assert_close(flex(query, key, value, 0.3), ours(query, key, value, 0.3), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_a_model_computes_with_flex_as_with_ours(pico):
    ids = torch.randint(0, 400, POSITIONS.shape, generator=torch.Generator().manual_seed(1))
    model = CausalModel(load_base(pico, torch.float32))
    ours = model(ids, POSITIONS)
    for way in ("flex", "mask"):
        model.attention = way
        torch.testing.assert_close(model(ids, POSITIONS), ours, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_varlen_is_given_the_documents_one_behind_the_other(monkeypatch):
    """The kernel itself runs on CUDA only; here each document goes through SDPA by the arguments that the kernel would get."""

    def kernel(query, key, value, ends, key_ends, longest, key_longest, *, scale, window_size, enable_gqa):
        assert window_size == (-1, 0)
        assert torch.equal(ends, key_ends)
        assert ends.dtype == torch.int32
        assert longest == key_longest == 48
        parts = []
        for start, end in pairwise(ends.tolist()):
            document = [tensor[start:end].transpose(0, 1)[None] for tensor in (query, key, value)]
            parts.append(torch.nn.functional.scaled_dot_product_attention(*document, is_causal=True, scale=scale, enable_gqa=enable_gqa)[0].transpose(0, 1))
        return torch.cat(parts)

    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", kernel)
    query, key, value = _inputs()
    ours, varlen = (packed_attention(way, POSITIONS) for way in ("auto", "varlen"))
    torch.testing.assert_close(varlen(query, key, value, 0.3), ours(query, key, value, 0.3), rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(torch.cuda.is_available(), reason="with CUDA they are there")
@pytest.mark.parametrize("way", ["flex", "varlen"])
def test_an_attention_for_gpus_is_refused_without_one(way):
    with pytest.raises(UsageError, match=f"attention {way}: it needs a CUDA GPU; use attention: auto"):
        check_attention(way, torch.bfloat16)


def test_flash_attention_is_refused_in_float32(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    check_attention("flex", torch.float32)
    check_attention("varlen", torch.bfloat16)
    with pytest.raises(UsageError, match="attention varlen: flash attention computes in bfloat16 or float16, and the model in float32"):
        check_attention("varlen", torch.float32)
