"""Texts to ids with the tokenizer.json of a folder, in one thread, as fast as there is a runtime for it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tokenizers import Tokenizer

from jp_adapt.core.errors import InputError
from jp_adapt.core.files import read_json
from jp_adapt.tokenizer.hub_config import token_ids
from jp_adapt.tokenizer.load import PROBE, runnable

if TYPE_CHECKING:
    from fastokens import Tokenizer as FastTokenizer

PLAIN_PARTS = {"Sequence", "Split", "ByteLevel", "Digits", "Prepend", "Replace", "NFC"}  # normalizers and pre-tokenizers
_PLAIN_REGEX = re.compile(r"(?:\\[pP]\{\w+\}|\\[sSrn]|\\[^A-Za-z0-9]|\[\^|[^\\.$^])*")
MAX_CHARS = 100_000  # of a text that fastokens gets: on a million spaces its regular expressions run out of stack


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

    The ids are those of `tokenizers`. Where fastokens (https://github.com/crusoecloud/fastokens) reads the tokenizer and gives the same ids of every probe,
    it is taken: it needs a tenth to a third of the time. What it refuses is left to `tokenizers`, a whole tokenizer as well as a single text.

    Attributes:
        vocab_size: one more than the highest id.
        special_ids: text -> id of the special tokens.
        is_fast: whether fastokens is taken.
    """

    def __init__(self, path: Path, spec: Mapping[str, Any] | None = None) -> None:
        """`spec`: what stands in the file, where it has been read."""
        self.path = path
        spec = read_json(path) if spec is None else spec
        ids = token_ids(spec)
        self.vocab_size = 1 + max(ids.values(), default=-1)
        self.special_ids = {str(token["content"]): int(token["id"]) for token in spec.get("added_tokens") or () if token.get("special")}
        self._tokenizer: Tokenizer | None = None
        self._fast_tokenizer: FastTokenizer | None = None
        probes = _probes([*(str(token["content"]) for token in spec.get("added_tokens") or ()), *ids])
        self.is_fast = _is_plain(spec) and self._slow(probes) == self._fast(probes)

    def __call__(self, texts: Sequence[str]) -> list[list[int]]:
        short = self._fast([text for text in texts if len(text) <= MAX_CHARS]) if self.is_fast else None
        if short is None:
            return self._slow(texts)
        long = self._slow([text for text in texts if len(text) > MAX_CHARS])
        ids = {True: iter(short), False: iter(long)}
        return [next(ids[len(text) <= MAX_CHARS]) for text in texts]

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_tokenizer": None, "_fast_tokenizer": None}  # each process reads its own

    def _fast(self, texts: Sequence[str]) -> list[list[int]] | None:
        """None where fastokens refuses the tokenizer, or a text, by an error or a panic."""
        try:
            with runnable(self.path):
                if self._fast_tokenizer is None:
                    os.environ.setdefault("RAYON_NUM_THREADS", "1")  # processes are the parallelism here
                    from fastokens import Tokenizer as FastTokenizer

                    self._fast_tokenizer = FastTokenizer.from_file(str(self.path))
                    self._fast_tokenizer.no_truncation()
                    self._fast_tokenizer.no_padding()
                flat, offsets = self._fast_tokenizer.encode_batch_flat(list(texts), split_special_tokens=True)
        except InputError:
            return None
        ids, ends = np.frombuffer(flat, "<u4").tolist(), np.frombuffer(offsets, "<u8").tolist()
        return [ids[start:end] for start, end in pairwise(ends)]

    def _slow(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        if self._tokenizer is None:
            os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
            self._tokenizer = plain_tokenizer(self.path.parent)
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]


def _is_plain(spec: Mapping[str, Any]) -> bool:
    """Whether a tokenizer is made of parts that both runtimes were found to read alike on all texts: most BPE of Llama's, GPT's and Qwen's kind are.

    Each runs an engine of regular expressions of its own, and they differ in what `\\b`, `\\w`, `\\d`, a dot and `$` mean: behind a few digits, of "①" for one
    (findings/).
    """
    model, parts = spec["model"], [part for part in (spec.get("normalizer"), spec.get("pre_tokenizer")) if part is not None]
    return model.get("type") == "BPE" and not model.get("dropout") and all(map(_is_plain_part, parts))


def _is_plain_part(part: Mapping[str, Any]) -> bool:
    pattern = part.get("pattern", {"String": ""})
    plain = part["type"] in PLAIN_PARTS and ("String" in pattern or _PLAIN_REGEX.fullmatch(pattern["Regex"]) is not None)
    return plain and all(map(_is_plain_part, [*part.get("normalizers", ()), *part.get("pretokenizers", ())]))


def _probes(tokens: Sequence[str]) -> list[str]:
    """Texts that two runtimes would cut differently if they read a tokenizer differently: tokens of all kinds, and code points of all of Unicode where a
    pattern may take them for a letter, a digit, a space or none of them."""
    chosen = [*tokens[:100], *tokens[100 :: max(1, len(tokens) // 1_000)]]
    blocks = (f"a{chr(code)}1 {chr(code)}b\n12345{chr(code)}" for code in [*range(0x300), *range(0x300, 0x110000, 997)] if not 0xD800 <= code < 0xE000)
    return ["", *blocks, *chosen, *(f"日本語{token}の {token}\n\t {token}" for token in chosen)]


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
