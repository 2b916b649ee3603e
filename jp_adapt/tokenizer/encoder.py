"""Texts to ids with the tokenizer.json of a folder, in one thread, as fast as there is a runtime for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer

from jp_adapt.core.errors import InputError
from jp_adapt.core.files import read_json
from jp_adapt.tokenizer.bpe import BpeTokenizer, family_of
from jp_adapt.tokenizer.byte_level import is_byte_text
from jp_adapt.tokenizer.hub_config import token_ids
from jp_adapt.tokenizer.load import PROBE, runnable
from jp_adapt.tokenizer.merges import splits
from jp_adapt.tokenizer.tiktoken import pattern_of

if TYPE_CHECKING:
    from tiktoken import Encoding

MAX_CHARS = 100_000  # of a text that tiktoken gets: on a million spaces its regular expressions run out of stack, and it panics


def plain_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer.json of a folder for plain text: no text makes a special token, and the file's truncation and padding are off."""
    with runnable(folder / "tokenizer.json"):
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.encode_special_tokens = True
        tokenizer.no_truncation()
        tokenizer.no_padding()
        tokenizer.encode(PROBE, add_special_tokens=False)
    return tokenizer


def special_ids(folder: Path) -> dict[str, int]:
    """Text -> id of the special tokens of a folder's tokenizer."""
    return {token.content: token_id for token_id, token in plain_tokenizer(folder).get_added_tokens_decoder().items() if token.special}


def encoder(tokenizer: Tokenizer) -> Callable[[str], list[int]]:
    """Text -> ids, without special tokens."""
    return lambda text: list(tokenizer.encode(text, add_special_tokens=False).ids)


class FileEncoder:
    """texts -> ids. No text makes a special token, whatever it says ("</s>" is four characters), and none is cut short.

    A tokenizer of Llama-3's kind is run by tiktoken, which takes a third of the time of `tokenizers` and gives the same ids (tests/pipeline/test_encoder.py).

    Attributes:
        vocab_size: one more than the highest id.
        special_ids: text -> id of the special tokens.
    """

    def __init__(self, path: Path, spec: Mapping[str, Any] | None = None) -> None:
        """`spec`: what stands in the file, where it has been read."""
        self.path = path
        spec = read_json(path) if spec is None else spec
        self.ranks = _ranks(spec)
        self.vocab_size = 1 + max(token_ids(spec).values(), default=-1)
        self.special_ids = {str(token["content"]): int(token["id"]) for token in spec.get("added_tokens") or () if token.get("special")}
        self._tokenizer: Tokenizer | None = None
        self._encoding: Encoding | None = None

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        if self.ranks is None:
            return self._slow(texts)
        short = self._fast([text for text in texts if len(text) <= MAX_CHARS])
        long = self._slow([text for text in texts if len(text) > MAX_CHARS])
        ids = {True: iter(short), False: iter(long)}
        return [next(ids[len(text) <= MAX_CHARS]) for text in texts]

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_tokenizer": None, "_encoding": None}  # neither can be pickled

    def _fast(self, texts: Sequence[str]) -> list[list[int]]:
        if self._encoding is None:
            from tiktoken import Encoding

            assert self.ranks is not None
            pattern, ranks = self.ranks
            self._encoding = Encoding("corpus", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
        return [self._encoding.encode_ordinary(text) for text in texts]

    def _slow(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        if self._tokenizer is None:
            os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # processes are the parallelism here
            self._tokenizer = plain_tokenizer(self.path.parent)
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]


def load_encoder(folder: Path) -> FileEncoder:
    """The encoder of a tokenizer's folder. InputError where there is none."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise InputError(f"{folder}: no tokenizer.json here; give the folder of a tokenizer, or of a tokenizer stage: RUN/stages/ID/final")
    spec = read_json(path)
    try:
        return FileEncoder(path, spec)
    except (AttributeError, KeyError, TypeError) as error:
        raise InputError(f"{path}: holds no tokenizer ({type(error).__name__}: {error}); fetch the file again") from error


def vocab_of(spec: Mapping[str, Any]) -> dict[str, int]:
    """Token -> id of the model of a tokenizer.json, without its added tokens."""
    vocab = spec["model"]["vocab"]
    return vocab if isinstance(vocab, dict) else {piece: number for number, (piece, _) in enumerate(vocab)}  # Unigram lists pieces with their scores


def _ranks(spec: Mapping[str, Any]) -> tuple[str, dict[bytes, int]] | None:
    """Pattern and ranks, where tiktoken cuts every text as `tokenizers` does: tokens of bytes, one pattern, whole words looked up first, a pair merged
    whenever it makes a token and by the id of that. None for any other tokenizer."""
    model, added = spec["model"], spec.get("added_tokens") or ()
    pattern = pattern_of(dict(spec)) if family_of(dict(spec)) == "byte-level BPE" else None
    if pattern is None or spec.get("normalizer") is not None or not all(token.get("special") for token in added):
        return None
    split, byte_level = spec["pre_tokenizer"]["pretokenizers"]
    cut_as_tiktoken = split.get("behavior") == "Isolated" and not split.get("invert")
    bytes_alone = byte_level["type"] == "ByteLevel" and not byte_level.get("add_prefix_space") and not byte_level.get("use_regex", True)
    plain = model.get("ignore_merges") and not any(model.get(name) for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"))
    tokenizer = BpeTokenizer(dict(spec))
    if not (cut_as_tiktoken and bytes_alone and plain and all(map(is_byte_text, model["vocab"].keys() - tokenizer.special_texts))):
        return None
    vocab = model["vocab"]
    merged = [vocab[left + right] for left, right in tokenizer.merges]
    by_id = all(before <= after for before, after in pairwise(merged))
    never_merged = vocab.keys() - tokenizer.special_texts - {left + right for left, right in tokenizer.merges}
    every_pair = not any(splits(token, vocab) for token in never_merged) and tokenizer.is_rank_keyed
    return (pattern, tokenizer.ids) if by_id and every_pair and not tokenizer.missing_bytes else None
