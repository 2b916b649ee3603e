"""Byte-level BPE tokenizers (GPT-2, SmolLM2, Llama-3) as their `tokenizer.json` describes them.

A byte-level tokenizer writes each byte as one printable character (GPT-2's `bytes_to_unicode`), so that its vocabulary is text. Everything here
works on real bytes and converts at the edge.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from jp_adapt.core.errors import InputError


def _byte_to_char() -> dict[int, str]:
    """GPT-2's table: printable Latin-1 bytes stand for themselves, the others for U+0100 upwards (openai/gpt-2, encoder.py)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {byte: chr(byte) for byte in printable}
    others = (byte for byte in range(256) if byte not in table)
    return table | {byte: chr(0x100 + offset) for offset, byte in enumerate(others)}


BYTE_TO_CHAR = _byte_to_char()
NEVER_IN_UTF8 = frozenset({0xC0, 0xC1, *range(0xF5, 0x100)})
CHAR_TO_BYTE = {char: byte for byte, char in BYTE_TO_CHAR.items()}


def to_text(token: bytes) -> str:
    """The printable form in which a byte-level vocabulary stores `token`."""
    return "".join(BYTE_TO_CHAR[byte] for byte in token)


def to_bytes(text: str) -> bytes:
    """Inverse of `to_text`; KeyError on a character that stands for no byte."""
    return bytes(CHAR_TO_BYTE[char] for char in text)


@dataclass(frozen=True)
class ByteLevelTokenizer:
    """A byte-level BPE tokenizer: its parsed `tokenizer.json` and the running `tokenizers.Tokenizer` made from it."""

    spec: dict[str, Any]

    @classmethod
    def load(cls, folder: Path) -> ByteLevelTokenizer:
        """Read `folder/tokenizer.json`. InputError when it is missing, unreadable, or of another family (which is named)."""
        path = folder / "tokenizer.json"
        if not path.is_file():
            raise InputError(f"{folder}: no tokenizer.json here; give the folder of a Hugging Face tokenizer")
        try:
            spec = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise InputError(f"{path}: not a readable tokenizer.json ({error}); fetch the file again") from error
        family = family_of(spec)
        if family != "byte-level BPE":
            raise InputError(f"{path}: a {family} tokenizer, and only byte-level BPE (GPT-2, SmolLM2, Llama-3) can be extended so far")
        return cls(spec)

    @cached_property
    def runtime(self) -> Tokenizer:
        return Tokenizer.from_str(json.dumps(self.spec, ensure_ascii=False))

    @cached_property
    def special_texts(self) -> frozenset[str]:
        """Contents of the added tokens: they are matched before BPE and are no byte strings."""
        return frozenset(token["content"] for token in self.spec["added_tokens"])

    @cached_property
    def ids(self) -> dict[bytes, int]:
        """Byte string -> id of every ordinary token."""
        vocab: dict[str, int] = self.spec["model"]["vocab"]
        return {to_bytes(text): token_id for text, token_id in vocab.items() if text not in self.special_texts}

    @property
    def vocab_size(self) -> int:
        """One more than the highest id, added tokens included."""
        ids: list[int] = [*self.spec["model"]["vocab"].values(), *(token["id"] for token in self.spec["added_tokens"])]
        return max(ids) + 1

    @cached_property
    def missing_bytes(self) -> tuple[int, ...]:
        """Bytes without a token of their own: the runtime drops them without a word (SmolLM2 lacks eight)."""
        return tuple(byte for byte in range(256) if byte not in NEVER_IN_UTF8 and bytes([byte]) not in self.ids)

    def pre_tokens(self, texts: Iterable[str]) -> Counter[str]:
        """Count the pre-tokens (in printable form) of `texts`."""
        normalizer, pre_tokenizer = self.runtime.normalizer, self.runtime.pre_tokenizer
        counts: Counter[str] = Counter()
        for text in texts:
            normal = normalizer.normalize_str(text) if normalizer is not None else text
            counts.update(piece for piece, _ in pre_tokenizer.pre_tokenize_str(normal))
        return counts

    def split(self, printable: str) -> tuple[bytes, ...]:
        """Segment one pre-token (printable form) with the BPE model alone."""
        return tuple(to_bytes(token.value) for token in self.runtime.model.tokenize(printable))

    def spell(self, token: bytes) -> list[int]:
        """Ids of the tokens that spell the byte string `token`, by the BPE model alone (a partial character has no text to encode)."""
        return [token_.id for token_ in self.runtime.model.tokenize(to_text(token))]

    def encode(self, text: str) -> list[int]:
        """Ids of `text`, without the special tokens that a template would add."""
        return list(self.runtime.encode(text, add_special_tokens=False).ids)


def family_of(spec: dict[str, Any]) -> str:
    """Name of a tokenizer's family, judged by what its `tokenizer.json` says and never by its name."""
    model = spec.get("model") or {}
    kind = model.get("type")
    if kind != "BPE":
        return str(kind or "unknown")
    if model.get("byte_fallback"):
        return "SentencePiece BPE"
    parts = [spec.get("pre_tokenizer") or {}]
    parts += parts[0].get("pretokenizers", [])
    return "byte-level BPE" if any(part.get("type") == "ByteLevel" for part in parts) else "BPE without bytes"
