"""The runtimes that cut text with a tokenizer: `tokenizers` always, and `sentencepiece` or `tiktoken` where the native model is there."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from jp_adapt.tokenizer import tiktoken
from jp_adapt.tokenizer.load import LoadedTokenizer

EncodeBatch = Callable[[Sequence[str]], list[list[int]]]


@dataclass(frozen=True)
class Runtime:
    """One implementation of a tokenizer. Neither encoding nor decoding adds or drops a special token."""

    name: str
    encode: EncodeBatch
    decode: Callable[[Sequence[int]], str]


def runtimes_of(loaded: LoadedTokenizer) -> list[Runtime]:
    """Every runtime that can run the tokenizer from its own files."""
    tokenizer = loaded.tokenizer
    results = [Runtime("tokenizers", tokenizer.encode_batch, tokenizer.decode)]
    if loaded.sentencepiece is not None:
        results.append(_sentencepiece(loaded.sentencepiece))
    pattern = None if tokenizer.is_sentencepiece else tiktoken.pattern_of(tokenizer.spec)
    if loaded.ranks is not None and pattern is not None:
        special = {token["content"]: token["id"] for token in tokenizer.spec["added_tokens"]}
        results.append(_tiktoken(loaded.ranks, pattern, special))
    return results


def _sentencepiece(model: Any) -> Runtime:
    from sentencepiece import SentencePieceProcessor

    processor = SentencePieceProcessor(model_proto=model.SerializeToString())
    return Runtime("sentencepiece", lambda texts: processor.encode(list(texts), out_type=int), lambda ids: str(processor.decode(list(ids))))


def _tiktoken(ranks: dict[bytes, int], pattern: str, special: dict[str, int]) -> Runtime:
    from tiktoken import Encoding

    encoding = Encoding("extended", pat_str=pattern, mergeable_ranks=ranks, special_tokens=special)
    holds_special = re.compile("|".join(map(re.escape, special)) or "(?!)").search

    def encode(text: str) -> list[int]:  # `encode` builds a set of all special tokens for each text, and `encode_batch` hands each to a thread
        return list(encoding.encode(text, allowed_special="all") if holds_special(text) else encoding.encode_ordinary(text))

    return Runtime("tiktoken", lambda texts: [encode(text) for text in texts], lambda ids: encoding.decode(list(ids)))
