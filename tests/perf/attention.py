"""Attention of one layer, forward and backward, four rows of 512 tokens: `document_attention` against torch's SDPA with the mask that keeps documents apart.

SmolLM2's heads (9 queries, 3 keys, width 64) and Llama's shape (8, 8, width 128); rows of one document and of two. Rows of one document
are also given to SDPA as plainly causal, which is what a trainer without document masks runs.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch

from jp_adapt.model.attention import Document, document_attention
from tests.perf.timing import alternate, report

ROWS, LENGTH = 4, 512
HEADS = ((9, 3, 64), (8, 8, 128))


def main() -> None:
    generator = torch.Generator().manual_seed(0)
    for dtype in (torch.bfloat16, torch.float32):
        for heads, kv_heads, dim in HEADS:
            sizes = (heads, kv_heads, kv_heads)
            inputs = [torch.randn(ROWS, LENGTH, size, dim, generator=generator).to(dtype).transpose(1, 2).requires_grad_() for size in sizes]
            for cuts in ((0, LENGTH), (0, 200, LENGTH)):
                documents = [(row, start, end) for row in range(ROWS) for start, end in pairwise(cuts)]
                mask = torch.zeros(ROWS, 1, LENGTH, LENGTH, dtype=torch.bool)
                for row, start, end in documents:
                    mask[row, 0, start:end, start:end] = torch.ones(end - start, end - start, dtype=torch.bool).tril()
                print(f"  {str(dtype).removeprefix('torch.')}, {heads} and {kv_heads} heads of {dim}, {len(cuts) - 1} document(s) in a row")
                contenders = {"ours": _ours(inputs, documents), "SDPA with a mask": _sdpa(inputs, attn_mask=mask)}
                if len(cuts) == 2:
                    contenders["SDPA, causal"] = _sdpa(inputs, is_causal=True)
                report(alternate(contenders), "ours")


def _ours(inputs: list[torch.Tensor], documents: list[Document]) -> Callable[[], object]:
    scaling = inputs[0].shape[-1] ** -0.5
    return lambda: document_attention(*inputs, documents, scaling).sum().backward()


def _sdpa(inputs: list[torch.Tensor], **how: object) -> Callable[[], object]:
    return lambda: torch.nn.functional.scaled_dot_product_attention(*inputs, enable_gqa=True, **how).transpose(1, 2).contiguous().sum().backward()
