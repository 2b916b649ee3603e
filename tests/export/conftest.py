"""The tokenizers of tests/tokenizer, and folders of models behind them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from jp_adapt.tokenizer.bpe import BpeTokenizer
from jp_adapt.tokenizer.load import LoadedTokenizer
from tests.export.models import ROPE_LINEAR, ROPE_LLAMA3, ROPE_YARN, add_llama, write_base_tokenizer, write_extended_tokenizer
from tests.tokenizer.conftest import (  # noqa: F401
    Trio,
    english,
    extend_loaded,
    japanese,
    small,
    small_trio,
    sp,
    sp_trio,
    tik,
    tik_trio,
)


@pytest.fixture(scope="session")
def digits_trio(small, japanese) -> Trio:  # noqa: F811
    """Cut as SmolLM2 cuts: digits apart."""
    byte_level = small.spec["pre_tokenizer"]
    pre_tokenizer = {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level]}
    base = BpeTokenizer(small.spec | {"pre_tokenizer": pre_tokenizer})
    return extend_loaded(LoadedTokenizer(base, []), japanese[:40], 500)


needs_llama_cpp = pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="xllamacpp is not installed (pip install 'jp-adapt[gguf]')")

# name -> (fixture of the tokenizer, whether extended, rows beyond the tokens, options of the model)
MODELS = {
    "sentencepiece": ("sp", False, 0, {}),
    "sentencepiece-extended": ("sp", True, 80, {"rope": ROPE_LINEAR, "dtype": "bfloat16"}),
    "llama3": ("tik", False, 0, {"tied": True, "dtype": "float16"}),
    "llama3-extended": ("tik", True, 33, {"rope": ROPE_LLAMA3, "tied": True, "intermediate_size": 70}),
    "gpt2-extended": ("small", True, 0, {"rope": ROPE_YARN, "head_dim": 32, "attention_bias": True, "mlp_bias": True}),
    "smollm-extended": ("digits", True, 1, {"rope": ROPE_YARN | {"attention_factor": 1.3, "beta_fast": 16.0}}),
}


@pytest.fixture(scope="session", params=list(MODELS))
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a model of each family: extended or not, padded or not, tied or not, with each kind of rotary scaling."""
    return make_model(request, tmp_path_factory, request.param)


@pytest.fixture(scope="session")
def sp_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(request, tmp_path_factory, "sentencepiece")


@pytest.fixture(scope="session")
def llama3_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(request, tmp_path_factory, "llama3-extended")


def make_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, name: str) -> Path:
    fixture, extended, more_rows, options = MODELS[name]
    folder = tmp_path_factory.mktemp("models") / name
    folder.mkdir()
    if extended:
        trio = request.getfixturevalue(f"{fixture}_trio")
        write_extended_tokenizer(trio, folder)
        size = trio.extension.vocab_size
    else:
        loaded = request.getfixturevalue(fixture)
        write_base_tokenizer(loaded, folder)
        size = loaded.tokenizer.vocab_size
    return add_llama(folder, size + more_rows, **options)
