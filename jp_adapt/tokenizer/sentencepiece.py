"""SentencePiece BPE models (Llama-1/2, Mistral v1): how they write tokens, their `tokenizer.model`, and the `tokenizer.json` made from it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from jp_adapt.core.errors import InputError
from jp_adapt.tokenizer.merges import Pair, splits

SPACE = "▁"  # U+2581 stands for a space; in the text itself it cannot be told from one (the base decodes it to a space)
_BYTE_PIECE = re.compile(r"<0x([0-9A-F]{2})>")
_BYTE_PIECES = tuple(f"<0x{byte:02X}>" for byte in range(256))
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED = 1, 2, 3, 4, 5  # piece types of sentencepiece_model.proto
BPE = 2  # model type


def is_byte_piece(text: str) -> bool:
    return _BYTE_PIECE.fullmatch(text) is not None


def check_byte_pieces(pieces: Iterable[str], place: str) -> None:
    """InputError where a vocabulary of pieces lacks one of the 256 that stand for a byte."""
    lacking = set(_BYTE_PIECES).difference(pieces)
    if lacking:
        raise InputError(f"{place}: lacks {min(lacking)}, and byte fallback needs a piece for each of the 256 bytes; fetch the file again")


def to_text(token: bytes) -> str:
    """The piece that stores `token`: text, or `<0xE3>` for one byte that is not a character."""
    try:
        return token.decode("utf-8").replace(" ", SPACE)
    except UnicodeDecodeError:
        if len(token) != 1:
            raise ValueError(f"{token!r} is not a text: a SentencePiece model holds whole characters and single bytes") from None
        return f"<0x{token[0]:02X}>"


def to_bytes(text: str) -> bytes:
    """Inverse of `to_text`."""
    byte = _BYTE_PIECE.fullmatch(text)
    return bytes([int(byte[1], 16)]) if byte else text.replace(SPACE, " ").encode("utf-8")


def read_model(data: bytes, place: str) -> Any:
    """The parsed `tokenizer.model`. InputError if it is not one, or if its kind, which the message names, is not BPE with byte fallback."""
    from sentencepiece import SentencePieceProcessor
    from sentencepiece import sentencepiece_model_pb2 as proto

    model = proto.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # DecodeError belongs to protobuf, which nothing else here imports
        raise InputError(f"{place}: not a readable SentencePiece model ({error}); fetch the file again") from error
    if not model.pieces:
        raise InputError(f"{place}: a SentencePiece model without pieces; fetch the file again")
    kind = model.trainer_spec.model_type
    if kind != BPE:
        name = proto.TrainerSpec.ModelType.Name(kind).capitalize()
        raise InputError(f"{place}: a SentencePiece {name} tokenizer; only BPE with byte fallback (Llama-1/2, Mistral v1) can be extended")
    if not model.trainer_spec.byte_fallback:
        raise InputError(f"{place}: a SentencePiece BPE tokenizer without byte fallback; only those with it (Llama-1/2, Mistral v1) can be extended")
    if model.normalizer_spec.precompiled_charsmap:
        raise InputError(
            f"{place}: normalises its text ({model.normalizer_spec.name}), which cannot be undone; only models with identity normalisation are read"
        )
    if model.normalizer_spec.remove_extra_whitespaces:
        raise InputError(f"{place}: takes out repeated spaces, which cannot be undone; only models with identity normalisation are read")
    try:
        SentencePieceProcessor(model_proto=data)
        pieces = [piece.piece for piece in model.pieces]
        if not all(isinstance(piece, str) for piece in pieces):  # protobuf gives bytes where they are no UTF-8
            raise ValueError("a piece is not UTF-8")
        if not any(piece.type == UNKNOWN for piece in model.pieces):
            raise ValueError("no unknown piece")
        if not np.isfinite([piece.score for piece in model.pieces]).all():
            raise ValueError("a score is not a number")
    except Exception as error:  # SentencePiece raises RuntimeError, for a piece that stands twice and the like
        raise InputError(f"{place}: not a SentencePiece model that can run ({' '.join(str(error).split())}); fetch the file again") from error
    check_byte_pieces(pieces, place)
    return model


def spec_of(model: Any) -> dict[str, Any]:
    """The `tokenizer.json` that cuts text as the SentencePiece model does, as the converters of `transformers` write it for Llama-2.

    Rules are ordered by score, which is SentencePiece's rank; each piece has one for every pair of pieces that spells it.
    """
    vocab = {piece.piece: token_id for token_id, piece in enumerate(model.pieces)}
    ranked = sorted((piece for piece in model.pieces if piece.type == NORMAL), key=lambda piece: -piece.score)
    merges: list[Pair] = [pair for piece in ranked for pair in splits(piece.piece, vocab)]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    added = [{"id": token_id, "content": piece.piece, **flags} for token_id, piece in enumerate(model.pieces) if piece.type in (UNKNOWN, CONTROL, USER_DEFINED)]
    prefix = [{"type": "Prepend", "prepend": SPACE}] if model.normalizer_spec.add_dummy_prefix else []
    strip = [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if prefix else []
    bos = next((token for token in added if token["id"] == model.trainer_spec.bos_id), None)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": [*prefix, {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}]},
        "pre_tokenizer": None,
        "post_processor": begin_with(bos["content"], bos["id"]) if bos else None,
        "decoder": {
            "type": "Sequence",
            "decoders": [{"type": "Replace", "pattern": {"String": SPACE}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, *strip],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": next(piece.piece for piece in model.pieces if piece.type == UNKNOWN),
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "vocab": vocab,
            "merges": [list(pair) for pair in merges],
        },
    }


def begin_with(text: str, token_id: int) -> dict[str, Any]:
    """The post-processor of a tokenizer.json that puts one special token before a text."""
    token = {"SpecialToken": {"id": text, "type_id": 0}}
    return {
        "type": "TemplateProcessing",
        "single": [token, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [token, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": text, "type_id": 1}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {text: {"id": text, "ids": [token_id], "tokens": [text]}},
    }


def model_of(base: Any, first_new_id: int, between: Sequence[tuple[int, str]], new: Iterable[str]) -> bytes:
    """The `tokenizer.model` of an extension.

    New pieces get scores of their own, below the base's lowest, in merge order: equal scores would let the position in the text decide, and the
    runtimes then disagree (1,540 of 40,000 strings with score 0 for all). A score is a float32, and Llama-2's lowest is -1e9, where neighbours are 64
    apart: the step is wide enough to keep them apart.

    Args:
        base: the parsed model of the base.
        first_new_id: id of the first new piece.
        between: (id, text) of the added tokens that the base's `tokenizer.json` holds after the pieces of `base`; they keep their ids, and as control
            pieces they stand for no text, so that SentencePiece cuts what is written like them as the base's own model does.
        new: the new pieces in order.
    """
    model = type(base)()
    model.CopyFrom(base)
    lowest = min(piece.score for piece in base.pieces)
    step = max(1.0, 2.0 * float(np.spacing(np.float32(abs(lowest)))))
    added = dict(between)
    for token_id in range(len(base.pieces), first_new_id):
        model.pieces.add(piece=added.get(token_id, f"<unused_{token_id}>"), score=0.0, type=CONTROL if token_id in added else UNUSED)
    for place, text in enumerate(new, start=1):
        model.pieces.add(piece=text, score=lowest - step * place, type=NORMAL)
    model.trainer_spec.vocab_size = len(model.pieces)
    return bytes(model.SerializeToString(deterministic=True))
