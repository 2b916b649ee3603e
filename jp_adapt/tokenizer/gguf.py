"""A tokenizer as a GGUF file holds it, and the way back: tokens, types, scores, merges, and the name of what cuts a text before BPE.

What llama.cpp makes of these fields stands in its src/llama-vocab.cpp. It knows two kinds of BPE: "llama" is SentencePiece's (a pair is merged whenever it
makes a token, best score first), "gpt2" is byte-level BPE with listed merges, behind one of its built-in regular expressions, which the file can only name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any

from jp_adapt.core.errors import InputError
from jp_adapt.tokenizer import sentencepiece
from jp_adapt.tokenizer.bpe import BpeTokenizer, check_spec
from jp_adapt.tokenizer.load import LoadedTokenizer
from jp_adapt.tokenizer.merges import splits
from jp_adapt.tokenizer.tiktoken import LLAMA3_PATTERN

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)  # token types; those of SentencePiece's pieces have the same numbers
UNUSED_SCORE, ADDED_SCORE = -10000.0, -1000.0  # what llama.cpp's converter gives a row without a token, and a token that the SentencePiece model lacks
METASPACE_NOTE = (
    "its tokenizer.json (Metaspace) puts no space before a text that begins with one, and none behind a special token; llama.cpp does, as SentencePiece does"
)
_PREPEND = {"type": "Prepend", "prepend": sentencepiece.SPACE}
_REPLACE = {"type": "Replace", "pattern": {"String": " "}, "content": sentencepiece.SPACE}
_PAD = re.compile(r"\[PAD(\d+)\]")

_BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
_LLAMA3 = [{"type": "Split", "pattern": {"Regex": LLAMA3_PATTERN}, "behavior": "Isolated", "invert": False}, _BYTE_LEVEL | {"use_regex": False}]
# llama.cpp's name -> pre-tokenizer of a tokenizer.json, and whether a word that is a token is taken whole (`ignore_merges`).
PRE_TOKENIZERS: dict[str, tuple[list[dict[str, Any]], bool]] = {
    "gpt-2": ([_BYTE_LEVEL | {"use_regex": True}], False),
    "smollm": ([{"type": "Digits", "individual_digits": True}, _BYTE_LEVEL | {"use_regex": True}], False),
    "llama-bpe": (_LLAMA3, True),
    "smaug-bpe": (_LLAMA3, False),
}


@dataclass(frozen=True)
class Vocabulary:
    """The tokenizer's part of a GGUF file; lists are by id, one entry for each row of the embedding.

    Attributes:
        model: "llama" (SentencePiece BPE) or "gpt2" (byte-level BPE).
        pre: llama.cpp's name of the pre-tokenizer; "default" for SentencePiece, which has none.
        scores: of SentencePiece tokens. merges: of byte-level BPE, "left right" in order.
        add_bos, add_eos: whether the tokenizer puts BOS before and EOS after a text.
        add_space_prefix: whether a space is put before a text (SentencePiece).
        note: what llama.cpp will do otherwise than the tokenizer that the fields were made from.
    """

    model: str
    pre: str
    tokens: list[str]
    types: list[int]
    scores: list[float] | None
    merges: list[str] | None
    add_bos: bool
    add_eos: bool
    add_space_prefix: bool
    note: str | None = None

    @cached_property
    def unused(self) -> set[int]:
        """Ids of rows without a token."""
        return {token_id for token_id, kind in enumerate(self.types) if kind == UNUSED and _PAD.fullmatch(self.tokens[token_id])}


def vocabulary_of(loaded: LoadedTokenizer, num_rows: int, *, bos: int | None, eos: int | None, place: str) -> Vocabulary:
    """The fields of a tokenizer for a model with `num_rows` rows of embedding; rows beyond the tokens become `[PADn]`, which no text produces.

    Raises:
        InputError: the embedding has fewer rows than the tokenizer tokens, or llama.cpp has no way to cut text as this tokenizer does (the part is named).
    """
    tokenizer = loaded.tokenizer
    if tokenizer.vocab_size > num_rows:
        raise InputError(f"{place}: the tokenizer has {tokenizer.vocab_size:,} tokens, and the embedding {num_rows:,} rows; they do not belong together")
    _check_model(tokenizer.spec["model"], place)
    texts = {token_id: text for text, token_id in tokenizer.spec["model"]["vocab"].items()}
    added = {token["id"]: token for token in tokenizer.spec["added_tokens"]}
    texts |= {token_id: token["content"] for token_id, token in added.items()}
    types = [_type(token_id, texts.get(token_id), added, tokenizer) for token_id in range(num_rows)]
    tokens = [texts.get(token_id, f"[PAD{token_id}]") for token_id in range(num_rows)]
    if len(set(tokens)) < num_rows:
        twice = next(text for text, group in groupby(sorted(tokens)) if len(list(group)) > 1)
        raise InputError(f"{place}: '{twice}' is the text of two tokens, and llama.cpp finds a token by its text; rename one of them")
    add_bos, add_eos = _adds(tokenizer, bos, eos, place)
    if tokenizer.is_sentencepiece:
        prefix, note = _space_prefix(tokenizer.spec, place)
        return Vocabulary("llama", "default", tokens, types, _scores(loaded, texts, num_rows, place), None, add_bos, add_eos, prefix, note)
    merges = [" ".join(pair) for pair in tokenizer.merges]
    return Vocabulary("gpt2", _pre_tokenizer(tokenizer.spec, place), tokens, types, None, merges, add_bos, add_eos, False)


def _check_model(model: Mapping[str, Any], place: str) -> None:
    for option in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(option):
            raise InputError(f"{place}: its BPE model has {option} {model[option]!r}, which llama.cpp does not know")


def _type(token_id: int, text: str | None, added: Mapping[int, Mapping[str, Any]], tokenizer: BpeTokenizer) -> int:
    if text is None:
        return UNUSED
    if text == tokenizer.spec["model"].get("unk_token") and tokenizer.is_sentencepiece:
        return UNKNOWN
    if token_id in added:
        return CONTROL if added[token_id].get("special") else USER_DEFINED
    return BYTE if tokenizer.is_sentencepiece and sentencepiece.is_byte_piece(text) else NORMAL


def _adds(tokenizer: BpeTokenizer, bos: int | None, eos: int | None, place: str) -> tuple[bool, bool]:
    """Whether the tokenizer itself puts BOS before and EOS after a text; what a tokenizer_config.json says of it is not asked."""
    ids = list(tokenizer.runtime.encode("", add_special_tokens=True).ids)
    for add_bos, add_eos in ((False, False), (True, False), (False, True), (True, True)):
        if ids == [bos] * add_bos + [eos] * add_eos:
            return add_bos, add_eos
    raise InputError(f"{place}: the tokenizer puts the ids {ids} around a text, and llama.cpp puts there BOS ({bos}) and EOS ({eos}) only")


def _pre_tokenizer(spec: Mapping[str, Any], place: str) -> str:
    """llama.cpp's name of what the tokenizer.json says, told by what it does and never by the model's name."""
    outer = spec.get("pre_tokenizer") or {}
    cuts = (outer["pretokenizers"] if outer.get("type") == "Sequence" else [outer], bool(spec["model"].get("ignore_merges")))
    for name, known in PRE_TOKENIZERS.items():
        if cuts == known and spec.get("normalizer") is None:
            return name
    said = json.dumps({key: spec.get(key) for key in ("normalizer", "pre_tokenizer")} | {"ignore_merges": cuts[1]}, ensure_ascii=False)
    raise InputError(f"{place}: llama.cpp's ways to cut text known here are {', '.join(PRE_TOKENIZERS)}, and this tokenizer's is not among them: {said}")


def _space_prefix(spec: Mapping[str, Any], place: str) -> tuple[bool, str | None]:
    """Whether a space is put before a text, and what llama.cpp does otherwise. InputError for a pipeline that is not SentencePiece's."""
    outer, before = spec.get("normalizer") or {}, spec.get("pre_tokenizer")
    parts = outer["normalizers"] if outer.get("type") == "Sequence" else [outer] if outer else []
    if before is None and parts in ([_PREPEND, _REPLACE], [_REPLACE]):
        return len(parts) == 2, None
    if not parts and before is not None and before.get("type") == "Metaspace" and before.get("replacement") == sentencepiece.SPACE and not before.get("split"):
        prefix = before.get("prepend_scheme") != "never"
        return prefix, METASPACE_NOTE if prefix else None
    said = json.dumps({key: spec.get(key) for key in ("normalizer", "pre_tokenizer")}, ensure_ascii=False)
    raise InputError(f"{place}: llama.cpp puts {sentencepiece.SPACE} for spaces and one before each text, and this tokenizer does something else: {said}")


def _scores(loaded: LoadedTokenizer, texts: Mapping[int, str], num_rows: int, place: str) -> list[float]:
    """A score for each row: the native model's where there is one, else such that llama.cpp merges in the order of the rules."""
    if loaded.sentencepiece is not None:
        pieces = loaded.sentencepiece.pieces
        known = {token_id: piece.score for token_id, piece in enumerate(pieces) if piece.piece == texts.get(token_id)}
        return [known.get(token_id, ADDED_SCORE if token_id in texts else UNUSED_SCORE) for token_id in range(num_rows)]
    order = _merge_order(loaded.tokenizer, place)
    return [-float(order.get(texts[token_id], 0)) if token_id in texts else UNUSED_SCORE for token_id in range(num_rows)]


def _merge_order(tokenizer: BpeTokenizer, place: str) -> dict[str, int]:
    """Token -> place in the order of merging, from 1. InputError where the rules are not what scores can say."""
    merged = [token for token, _ in groupby(left + right for left, right in tokenizer.merges)]
    vocab: dict[str, int] = tokenizer.spec["model"]["vocab"]
    unmerged = vocab.keys() - set(merged) - tokenizer.special_texts
    if (
        not tokenizer.is_rank_keyed
        or len(set(merged)) < len(merged)
        or any(splits(token, vocab) for token in unmerged if not sentencepiece.is_byte_piece(token))
    ):
        raise InputError(
            f"{place}: its merge rules cannot be written as one score for each token, which is what llama.cpp takes for SentencePiece; "
            "give the folder with the tokenizer.model from which they were made"
        )
    return {token: place for place, token in enumerate(merged, start=1)}


def tokenizer_of(vocabulary: Vocabulary, *, bos: int | None, eos: int | None, unk: int | None, place: str) -> LoadedTokenizer:
    """The tokenizer that the fields of a GGUF file describe: as llama.cpp cuts text, and with the native model where it is a SentencePiece one.

    Rows without a token (`[PADn]`) are no part of it. InputError where the fields are of another kind, or no tokenizer can be made of them.
    """
    if vocabulary.model == "llama":
        model = _sentencepiece_model(vocabulary, bos=bos, eos=eos, unk=unk, place=place)
        spec = sentencepiece.spec_of(model)
    elif vocabulary.model == "gpt2" and vocabulary.pre in PRE_TOKENIZERS:
        model, spec = None, _byte_level_spec(vocabulary, place)
    else:
        kind = f"'{vocabulary.model}'" + (f" with pre-tokenizer '{vocabulary.pre}'" if vocabulary.model == "gpt2" else "")
        raise InputError(f"{place}: a tokenizer of the kind {kind}; known here: 'llama', and 'gpt2' with {', '.join(PRE_TOKENIZERS)}; use the original folder")
    unused = vocabulary.unused
    added = [_added(token_id, text, kind) for token_id, (text, kind) in _special(vocabulary, unused)]
    spec["added_tokens"] = added
    spec["model"]["vocab"] = {text: token_id for text, token_id in spec["model"]["vocab"].items() if token_id not in unused}
    spec["post_processor"] = _around(vocabulary, bos, eos)
    check_spec(spec, place)
    return LoadedTokenizer(BpeTokenizer(spec), [], sentencepiece=model)


def _special(vocabulary: Vocabulary, unused: set[int]) -> Iterator[tuple[int, tuple[str, int]]]:
    """(id, (text, type)) of the tokens that are matched before BPE."""
    rows = enumerate(zip(vocabulary.tokens, vocabulary.types, strict=True))
    return ((token_id, row) for token_id, row in rows if row[1] in (UNKNOWN, CONTROL, USER_DEFINED) and token_id not in unused)


def _added(token_id: int, text: str, kind: int) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": token_id, "content": text, **flags, "special": kind != USER_DEFINED}


def _sentencepiece_model(vocabulary: Vocabulary, *, bos: int | None, eos: int | None, unk: int | None, place: str) -> Any:
    from sentencepiece import sentencepiece_model_pb2 as proto

    scores = vocabulary.scores
    if scores is None or len(scores) != len(vocabulary.tokens):
        raise InputError(f"{place}: a SentencePiece tokenizer without a score for each token; fetch the file again")
    model = proto.ModelProto()
    last = max((token_id for token_id in range(len(scores)) if token_id not in vocabulary.unused), default=-1)
    for text, score, kind in zip(vocabulary.tokens[: last + 1], scores, vocabulary.types, strict=False):
        model.pieces.add(piece=text, score=score, type=kind)
    trainer, normalizer = model.trainer_spec, model.normalizer_spec
    trainer.model_type, trainer.byte_fallback, trainer.vocab_size = sentencepiece.BPE, True, last + 1
    first_unknown = next((token_id for token_id, kind in enumerate(vocabulary.types) if kind == UNKNOWN), 0)
    trainer.unk_id = first_unknown if unk is None else unk
    trainer.bos_id, trainer.eos_id, trainer.pad_id = (-1 if bos is None else bos), (-1 if eos is None else eos), -1
    normalizer.name, normalizer.add_dummy_prefix, normalizer.remove_extra_whitespaces = "identity", vocabulary.add_space_prefix, False
    return sentencepiece.read_model(bytes(model.SerializeToString(deterministic=True)), place)


def _byte_level_spec(vocabulary: Vocabulary, place: str) -> dict[str, Any]:
    cuts, ignore_merges = PRE_TOKENIZERS[vocabulary.pre]
    merges = [merge.split(" ") for merge in vocabulary.merges or ()]
    if not merges:
        raise InputError(f"{place}: a byte-level tokenizer without merges; fetch the file again")
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": cuts[0] if len(cuts) == 1 else {"type": "Sequence", "pretokenizers": cuts},
        "post_processor": None,
        "decoder": _BYTE_LEVEL | {"use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": ignore_merges,
            "vocab": {text: token_id for token_id, text in enumerate(vocabulary.tokens)},
            "merges": merges,
        },
    }


def _around(vocabulary: Vocabulary, bos: int | None, eos: int | None) -> dict[str, Any] | None:
    """The post-processor that puts BOS and EOS around a text."""
    before = [bos] if vocabulary.add_bos and bos is not None else []
    after = [eos] if vocabulary.add_eos and eos is not None else []
    if not before and not after:
        return None

    def part(ids: Sequence[int], sequence: str, type_id: int, end: Sequence[int]) -> list[dict[str, Any]]:
        token = [{"SpecialToken": {"id": vocabulary.tokens[token_id], "type_id": type_id}} for token_id in ids]
        last = [{"SpecialToken": {"id": vocabulary.tokens[token_id], "type_id": type_id}} for token_id in end]
        return [*token, {"Sequence": {"id": sequence, "type_id": type_id}}, *last]

    used = {vocabulary.tokens[token_id]: token_id for token_id in (*before, *after)}
    return {
        "type": "TemplateProcessing",
        "single": part(before, "A", 0, after),
        "pair": [*part(before, "A", 0, after), *part(before, "B", 1, after)],
        "special_tokens": {text: {"id": text, "ids": [token_id], "tokens": [text]} for text, token_id in used.items()},
    }
