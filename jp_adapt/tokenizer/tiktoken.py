"""tiktoken rank files (Llama-3's `tokenizer.model`): a line for each token, its bytes in base64 and its rank."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

from jp_adapt.core.errors import InputError
from jp_adapt.tokenizer.byte_level import to_text
from jp_adapt.tokenizer.merges import splits
from jp_adapt.tokenizer.sentencepiece import begin_with

# Llama-3's pattern and special tokens stand in no rank file: meta-llama/llama-models, models/llama3/tokenizer.py.
LLAMA3_PATTERN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3_TOKENS = 128_000
LLAMA3_NAMED = {0: "<|begin_of_text|>", 1: "<|end_of_text|>", 6: "<|start_header_id|>", 7: "<|end_header_id|>", 9: "<|eot_id|>"}
LLAMA3_NUM_SPECIAL = 256


def read_ranks(data: bytes, place: str) -> dict[bytes, int]:
    """Token -> rank of a rank file. InputError, with the line, if it is not a rank file."""
    ranks: dict[bytes, int] = {}
    seen: set[int] = set()
    for at, line in enumerate(data.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            text, number = line.split()
            token, rank = base64.b64decode(text, validate=True), int(number)
            if rank < 0:
                raise ValueError("a rank is not a negative number")
        except (ValueError, binascii.Error) as error:
            raise InputError(f"{place}:{at}: no line of a tiktoken rank file (base64, space, rank); fetch the file again") from error
        if token in ranks or rank in seen:
            raise InputError(f"{place}:{at}: the {'token' if token in ranks else 'rank'} of this line stands twice; fetch the file again")
        ranks[token] = rank
        seen.add(rank)
    if not ranks:
        raise InputError(f"{place}: holds no token; fetch the file again")
    return ranks


def write_ranks(ranks: Mapping[bytes, int]) -> bytes:
    """The rank file of `ranks`, lowest rank first."""
    return b"".join(base64.b64encode(token) + b" %d\n" % rank for token, rank in sorted(ranks.items(), key=lambda item: item[1]))


def spec_of(ranks: Mapping[bytes, int], place: str) -> dict[str, Any]:
    """The `tokenizer.json` of Llama-3 from its rank file alone. A rank file of another size has a pattern that the file does not tell: InputError."""
    if len(ranks) != LLAMA3_TOKENS:
        raise InputError(
            f"{place}: a tiktoken rank file of {len(ranks)} tokens; only Llama-3's ({LLAMA3_TOKENS}) tells its pattern and special tokens, "
            "so give the folder of the Hugging Face tokenizer, with its tokenizer.json"
        )
    reserved = (f"<|reserved_special_token_{number}|>" for number in count())
    special = [LLAMA3_NAMED.get(place) or next(reserved) for place in range(LLAMA3_NUM_SPECIAL)]
    return spec_with(ranks, special) | {"post_processor": begin_with(special[0], len(ranks))}  # as in the hub's folders


def spec_with(ranks: Mapping[bytes, int], special: Sequence[str]) -> dict[str, Any]:
    """A `tokenizer.json` with Llama-3's pattern, whole words looked up first; the special tokens stand after the last rank, outside the vocabulary."""
    vocab = {to_text(token): rank for token, rank in sorted(ranks.items(), key=lambda item: item[1])}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    split = {"type": "Split", "pattern": {"Regex": LLAMA3_PATTERN}, "behavior": "Isolated", "invert": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": len(ranks) + index, "content": text, **flags} for index, text in enumerate(special)],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level]},
        "post_processor": None,
        "decoder": {**byte_level, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": True,
            "vocab": vocab,
            "merges": [list(pair) for token in vocab for pair in splits(token, vocab)],
        },
    }


def pattern_of(spec: dict[str, Any]) -> str | None:
    """The regular expression that cuts a byte-level tokenizer's text, or None where the pre-tokenizer is more than one split."""
    parts = (spec.get("pre_tokenizer") or {}).get("pretokenizers", [])
    patterns = [part["pattern"].get("Regex") for part in parts if part.get("type") == "Split"]
    return patterns[0] if len(patterns) == 1 and len(parts) == 2 else None
