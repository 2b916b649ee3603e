"""Which type a model computes in, by what the processor can do."""

from __future__ import annotations

import pytest
import torch

from jp_adapt.model.causal import resolve_precision


@pytest.mark.parametrize(
    ("features", "precision", "dtype", "warns"),
    [
        ({"avx512_bf16": True}, "auto", torch.bfloat16, False),
        ({"amx_bf16": True}, "bfloat16", torch.bfloat16, False),
        ({"avx2": True}, "auto", torch.float32, False),
        ({"avx2": True}, "bfloat16", torch.bfloat16, True),
        ({"avx2": True}, "float16", torch.float16, False),
    ],
)
def test_auto_follows_the_processor_and_slow_bfloat16_is_said(features, precision, dtype, warns, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features)
    assert resolve_precision(precision) == dtype
    assert ("slower than float32" in capsys.readouterr().err) == warns
