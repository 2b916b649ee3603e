"""A BPE tokenizer of the Llama family as its `tokenizer.json` describes it: what its tokens are as bytes, and the runtime that cuts text.

Three families share one idea, merge the adjacent pair of lowest rank, and differ in how they write a token down:

- SentencePiece BPE with byte fallback (Llama-1/2, Mistral v1) writes text, with "▁" for a space and `<0xE3>` for a byte that belongs to no piece;
- tiktoken-style byte-level BPE (Llama-3) and GPT-2-style byte-level BPE (SmolLM2) write each byte as one printable character. In the first a pair is
  merged whenever its concatenation is a token, by that token's rank; in the second only the listed pairs are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from tokenizers import Tokenizer, models

from jp_adapt.core.errors import InputError
from jp_adapt.text.scripts import JAPANESE
from jp_adapt.tokenizer import byte_level, sentencepiece
from jp_adapt.tokenizer.merges import Pair, is_rank_keyed

Family = Literal["SentencePiece BPE", "tiktoken BPE", "byte-level BPE"]
BLOCK = 4096  # texts handed to the runtime at once
AS_IT_IS = "; leave the tokenizer stage out (init --new-tokens 0) to train with it as it is"
MAX_ID = 2**22  # far above every published vocabulary; tables over all ids are made of a damaged number otherwise
NEVER_IN_UTF8 = frozenset({0xC0, 0xC1, *range(0xF5, 0x100)})


@dataclass(frozen=True, repr=False)
class BpeTokenizer:
    """A tokenizer: its parsed `tokenizer.json`, and the running `tokenizers.Tokenizer` made from it."""

    spec: dict[str, Any]

    def __repr__(self) -> str:
        return f"<BpeTokenizer {self.family}, {self.vocab_size:,} tokens>"

    @cached_property
    def runtime(self) -> Tokenizer:
        """What cuts a text as users' programs do: normalizer, added tokens, pre-tokenizer, model, decoder. No text is cut short or filled up."""
        return Tokenizer.from_str(json.dumps(self.spec | {"truncation": None, "padding": None}, ensure_ascii=False))

    @cached_property
    def bare(self) -> Tokenizer:
        """The BPE model alone, for words in vocabulary form: no normalizer, no pre-tokenizer, no added tokens, and no look-up of whole words."""
        return bare_runtime(self.spec["model"]["vocab"], self.merges, sentencepiece=self.is_sentencepiece)

    @cached_property
    def is_sentencepiece(self) -> bool:
        return bool(self.spec["model"].get("byte_fallback"))

    @cached_property
    def merges(self) -> list[Pair]:
        """The merge rules in order, in vocabulary form."""
        return [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in self.spec["model"]["merges"]]  # type: ignore[misc]

    @cached_property
    def is_rank_keyed(self) -> bool:
        """Whether a pair is merged whenever its concatenation is a token (SentencePiece, tiktoken), and not only where a rule names the pair."""
        return is_rank_keyed(self.spec["model"]["vocab"], self.merges)

    @cached_property
    def family(self) -> Family:
        if self.is_sentencepiece:
            return "SentencePiece BPE"
        return "tiktoken BPE" if self.is_rank_keyed else "byte-level BPE"

    @cached_property
    def special_texts(self) -> frozenset[str]:
        """Contents of the added tokens: they are matched before BPE and are no byte strings."""
        return frozenset(token["content"] for token in self.spec["added_tokens"])

    @cached_property
    def ids(self) -> dict[bytes, int]:
        """Byte string -> id of every ordinary token."""
        vocab: dict[str, int] = self.spec["model"]["vocab"]
        ordinary = {text: token_id for text, token_id in vocab.items() if text not in self.special_texts}
        if not self.is_sentencepiece:
            return {self.to_bytes(text): token_id for text, token_id in ordinary.items()}
        fallback = {text: token_id for text, token_id in ordinary.items() if sentencepiece.is_byte_piece(text)}
        by_bytes = {self.to_bytes(text): token_id for text, token_id in fallback.items()}
        return by_bytes | {self.to_bytes(text): token_id for text, token_id in ordinary.items() if text not in fallback}

    @cached_property
    def token_bytes(self) -> dict[int, bytes]:
        """Id -> bytes of every token; an added token stands for its text."""
        vocab: dict[str, int] = self.spec["model"]["vocab"]
        ordinary = {token_id: self.to_bytes(text) for text, token_id in vocab.items() if text not in self.special_texts}
        return ordinary | {token["id"]: token["content"].encode("utf-8") for token in self.spec["added_tokens"]}

    @cached_property
    def vocab_size(self) -> int:
        """One more than the highest id, added tokens included."""
        ids: list[int] = [*self.spec["model"]["vocab"].values(), *(token["id"] for token in self.spec["added_tokens"])]
        return max(ids) + 1

    @cached_property
    def missing_bytes(self) -> tuple[int, ...]:
        """Bytes without a token of their own: the runtime drops them without a word (SmolLM2 lacks eight)."""
        return tuple(byte for byte in range(256) if byte not in NEVER_IN_UTF8 and bytes([byte]) not in self.ids)

    def to_text(self, token: bytes) -> str:
        """The form in which the vocabulary stores `token`."""
        return sentencepiece.to_text(token) if self.is_sentencepiece else byte_level.to_text(token)

    def to_bytes(self, text: str) -> bytes:
        """Inverse of `to_text`."""
        return sentencepiece.to_bytes(text) if self.is_sentencepiece else byte_level.to_bytes(text)

    def words(self, run: str) -> list[str]:
        """The pre-tokens of a run of text, in vocabulary form: no token ever crosses from one to the next, nor over an added token."""
        parts = [run] if self._added_japanese is None else [part for part in self._added_japanese.split(run) if part]
        if self.is_sentencepiece:
            parts = [part.replace(" ", sentencepiece.SPACE) for part in parts]
        if self._cuts_at_spaces_alone:
            return parts
        return [piece for part in parts for piece, _ in self.runtime.pre_tokenizer.pre_tokenize_str(part)]

    @cached_property
    def _cuts_at_spaces_alone(self) -> bool:
        """Whether the pre-tokenizer is SentencePiece's: it puts a space before a text and cuts at spaces, of which a run holds none inside."""
        return self.is_sentencepiece and (self.spec.get("pre_tokenizer") or {}).get("type", "Metaspace") == "Metaspace"

    @cached_property
    def _added_japanese(self) -> re.Pattern[str] | None:
        """Added tokens that may stand in Japanese text: they are taken out of it before it is cut."""
        texts = sorted((text for text in self.special_texts if JAPANESE.search(text)), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, texts))) if texts else None

    def split(self, words: Sequence[str]) -> list[list[int]]:
        """Ids of pre-tokens in vocabulary form, by the BPE model alone."""
        return cut(self.bare, words)

    def spell(self, token: bytes) -> list[int]:
        """Ids of the tokens that spell the byte string `token`, by the BPE model alone (a partial character has no text to encode)."""
        return self.split([self.to_text(token)])[0]

    def encode(self, text: str) -> list[int]:
        """Ids of `text`, without the special tokens that a template would add."""
        return list(self.runtime.encode(text, add_special_tokens=False).ids)

    def encode_batch(self, texts: Iterable[str]) -> list[list[int]]:
        """Ids of many texts, on all cores."""
        return cut(self.runtime, texts)

    def decode(self, ids: Sequence[int]) -> str:
        return str(self.runtime.decode(list(ids), skip_special_tokens=False))


def text_of(token: bytes) -> str | None:
    """The characters of a token, or None where it is not a whole characters."""
    try:
        return token.decode("utf-8")
    except UnicodeDecodeError:
        return None


def cut(runtime: Tokenizer, texts: Iterable[str]) -> list[list[int]]:
    """Ids of many texts; in blocks, because the encodings that the runtime hands over are many times as large as the ids in them."""
    texts = list(texts)
    blocks = (texts[start : start + BLOCK] for start in range(0, len(texts), BLOCK))
    return [encoding.ids for block in blocks for encoding in runtime.encode_batch_fast(block, add_special_tokens=False)]


def bare_runtime(vocab: dict[str, int], merges: Sequence[Pair], *, sentencepiece: bool) -> Tokenizer:
    """A `tokenizers` BPE model and nothing around it."""
    options: dict[str, Any] = {"unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True} if sentencepiece else {}
    return Tokenizer(models.BPE(vocab=vocab, merges=list(merges), **options))


def family_of(spec: dict[str, Any]) -> str:
    """Name of a tokenizer's family, judged by what its `tokenizer.json` says and never by its name."""
    model = spec.get("model") or {}
    kind = model.get("type")
    if kind != "BPE":
        return str(kind or "unknown")
    if model.get("byte_fallback"):
        return "SentencePiece BPE"
    cuts = [part.get("type") for part in _parts(spec.get("pre_tokenizer"), "pretokenizers")]
    return "byte-level BPE" if "ByteLevel" in cuts else "BPE without bytes"


def check_normalizer(spec: dict[str, Any], place: str) -> None:
    """InputError where the tokenizer changes a text before it cuts it (NFKC, lower case, ...): new tokens would never come out, and no text comes back.

    What SentencePiece itself does is not a change: a space before the text, and U+2581 for a space.
    """
    for part in _parts(spec.get("normalizer"), "normalizers"):
        kind = part.get("type")
        marks_spaces = kind == "Replace" and part.get("pattern") == {"String": " "} and part.get("content") == sentencepiece.SPACE
        begins_with_space = kind == "Prepend" and part.get("prepend") == sentencepiece.SPACE
        if spec["model"].get("byte_fallback") and (marks_spaces or begins_with_space):
            continue
        raise InputError(
            f"{place}: its normalizer ({kind}) changes a text before it is cut, which cannot be undone: tokens learned from the text would never come out; "
            f"only tokenizers that take the text as it is can be extended{AS_IT_IS}"
        )


def _parts(part: Any, name: str) -> Iterator[dict[str, Any]]:
    """The parts of a normalizer, pre-tokenizer or post-processor, sequences taken apart."""
    if not isinstance(part, dict):
        return
    if part.get("type") == "Sequence" and isinstance(part.get(name), list):
        for inner in part[name]:
            yield from _parts(inner, name)
    else:
        yield part


def _is_id(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_ID


def _check_settings(spec: dict[str, Any], place: str) -> None:
    """InputError for settings on which `tokenizers` panics, and for one by which no text is cut the same way twice."""
    model = spec["model"]
    for name in ("continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(name):
            raise InputError(f"{place}: 'model' has a {name} ('{model[name]}'), which no tokenizer of a Llama has; fetch the file again")
    if model.get("dropout"):
        raise InputError(f"{place}: 'model' has a dropout of {model['dropout']}, by which a text is cut at random; set it to null")
    for part in _parts(spec.get("post_processor"), "processors"):
        known = part.get("special_tokens")
        lacking = [token for token in _template_tokens(part) if not isinstance(known, dict) or token not in known]
        if lacking:
            raise InputError(f"{place}: 'post_processor' names the special token '{lacking[0]}' and does not describe it; fetch the file again")


def _template_tokens(part: dict[str, Any]) -> list[str]:
    """The special tokens that a TemplateProcessing puts around a text."""
    named: list[str] = []
    for template in (part.get("single"), part.get("pair")):
        if isinstance(template, str):  # "[CLS] $A:0 [SEP]"
            named += [piece.split(":")[0] for piece in template.split() if not piece.startswith("$")]
        elif isinstance(template, list):
            tokens = [piece["SpecialToken"] for piece in template if isinstance(piece, dict) and isinstance(piece.get("SpecialToken"), dict)]
            named += [str(token.get("id")) for token in tokens]
    return named


def check_spec(spec: Any, place: str) -> None:
    """InputError where `spec` is not a tokenizer.json of a family that can be extended; the family is named."""
    if not isinstance(spec, dict) or not isinstance(spec.get("model"), dict):
        raise InputError(f"{place}: holds no tokenizer (a tokenizer.json has the key 'model'); fetch the file again")
    family = family_of(spec)
    if family not in ("SentencePiece BPE", "byte-level BPE"):
        raise InputError(
            f"{place}: a {family} tokenizer; only BPE tokenizers with bytes (Llama, Mistral v1, Llama-3, GPT-2, SmolLM2) can be extended{AS_IT_IS}"
        )
    model = spec["model"]
    vocab, merges = model.get("vocab"), model.get("merges")
    if not isinstance(vocab, dict) or not vocab or not isinstance(merges, list) or not all(map(_is_id, vocab.values())):
        raise InputError(f"{place}: 'model' lacks a vocabulary of ids (0 to {MAX_ID:,}) or a list of merges; fetch the file again")
    added = spec.get("added_tokens")
    if not isinstance(added, list) or not all(isinstance(token, dict) and isinstance(token.get("content"), str) and _is_id(token.get("id")) for token in added):
        raise InputError(f"{place}: 'added_tokens' is not a list of tokens with id (0 to {MAX_ID:,}) and content; fetch the file again")
    by_id: dict[int, str] = {}
    for text, token_id in (*vocab.items(), *((token["content"], token["id"]) for token in added)):
        if by_id.get(token_id, text) != text:
            raise InputError(f"{place}: '{by_id[token_id]}' and '{text}' have the same id {token_id}; fetch the file again")
        by_id[token_id] = text
    _check_settings(spec, place)
    if family == "SentencePiece BPE":
        sentencepiece.check_byte_pieces(vocab, place)
    texts = {token["content"] for token in added}
    for text in vocab:
        if family == "byte-level BPE" and text not in texts and not byte_level.is_byte_text(text):
            raise InputError(f"{place}: '{text}' of the vocabulary holds a character that stands for no byte; this is not a byte-level tokenizer")
    for number, merge in enumerate(merges):
        parts = merge.split(" ") if isinstance(merge, str) else merge
        known = isinstance(parts, list) and len(parts) == 2 and all(isinstance(part, str) and part in vocab for part in parts)
        if not known or parts[0] + parts[1] not in vocab:
            raise InputError(f"{place}: merge {number} ({merge}) is not a pair of tokens that make a token; fetch the file again")
