"""One attention layer of SmolLM2-135M in bfloat16, forward and backward: ours against torch's CPU kernel as transformers calls it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from jp_adapt.model.attention import grouped_matmul_attention
from tests.perf.timing import alternate, report

HEADS, KV_HEADS, DIM = 9, 3, 64


def main() -> None:
    for batch, length in ((16, 128), (8, 256), (4, 512)):
        query = torch.randn(batch, HEADS, length, DIM, dtype=torch.bfloat16, requires_grad=True)
        key, value = (torch.randn(batch, KV_HEADS, length, DIM, dtype=torch.bfloat16, requires_grad=True) for _ in range(2))
        mask = torch.ones(length, length, dtype=torch.bool).tril()[None, None].expand(batch, 1, length, length)
        print(f"  [{batch}, {length}]")
        report(alternate({"ours": _ours(query, key, value, mask), "sdpa": _sdpa(query, key, value, mask)}), "ours")


def _ours(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor) -> Callable[[], object]:
    module = nn.Module()
    return lambda: grouped_matmul_attention(module, query, key, value, mask, DIM**-0.5)[0].sum().backward()


def _sdpa(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor) -> Callable[[], object]:
    def work() -> None:
        out = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=True)
        out.sum().backward()

    return work
