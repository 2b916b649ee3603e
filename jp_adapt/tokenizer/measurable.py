"""Any tokenizer, to be measured and not extended: Unigram, WordPiece, one that normalises. What `tokenizer compare` loads.

A tokenizer that can be extended is loaded as such. Of the others a folder is read by `AutoTokenizer`, a tokenizer.json alone by `tokenizers`, and a
tokenizer.model alone by `sentencepiece`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from jp_adapt.core.errors import InputError
from jp_adapt.core.progress import say
from jp_adapt.tokenizer import byte_level, sentencepiece
from jp_adapt.tokenizer.auto import CANNOT_LOAD, load_auto
from jp_adapt.tokenizer.bpe import BLOCK
from jp_adapt.tokenizer.load import load_tokenizer, runnable

UNKNOWN = b"\xff\xff"  # bytes of an unknown token: no character, so that it counts as broken, and no single byte
CONTINUED = "##"  # before a WordPiece token that goes on in a word


class Measurable(Protocol):
    """What `measure_tokenizer` needs of a tokenizer; no special token is added."""

    @property
    def family(self) -> str: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def token_bytes(self) -> Mapping[int, bytes]: ...
    def encode_batch(self, texts: Iterable[str]) -> list[list[int]]: ...


@dataclass(frozen=True, repr=False)
class OtherTokenizer:
    """A tokenizer that cannot be extended here; an unknown token has the bytes UNKNOWN."""

    family: str
    vocab_size: int
    token_bytes: Mapping[int, bytes]
    encode: Callable[[Sequence[str]], list[list[int]]]

    def encode_batch(self, texts: Iterable[str]) -> list[list[int]]:
        every = list(texts)
        return [ids for start in range(0, len(every), BLOCK) for ids in self.encode(every[start : start + BLOCK])]


def load_measurable(path: Path) -> Measurable:
    """The tokenizer of a folder or a file, of whatever family.

    Raises:
        InputError: nothing that a library can load; it says why it could not be extended and why it cannot be loaded.
    """
    try:
        return load_tokenizer(path).tokenizer
    except InputError as error:
        if not path.exists():
            raise
        reason = str(error)
    try:
        tokenizer = _read(path)
    except InputError as error:
        raise InputError(f"{reason}; and {str(error).removeprefix(f'{path}: ')}") from error
    say(f"{path}: {tokenizer.family}, for measuring only ({reason.removeprefix(f'{path}: ')})")
    return tokenizer


def _read(path: Path) -> OtherTokenizer:
    if path.is_dir():
        return _of_folder(path)
    data = path.read_bytes()
    return _of_spec(data, path) if data.lstrip()[:1] == b"{" else _of_model(data, path)


def _of_folder(path: Path) -> OtherTokenizer:
    try:
        tokenizer = load_auto(path)
        size = len(tokenizer)
        pieces = dict(enumerate(tokenizer.convert_ids_to_tokens(range(size))))
        special, unknown = set(tokenizer.added_tokens_decoder), tokenizer.unk_token_id
    except Exception as error:  # a folder can name any class, and each raises errors of its own
        raise InputError(f"{path}: {CANNOT_LOAD} ({type(error).__name__}: {' '.join(str(error).split())})") from error
    backend = getattr(tokenizer, "backend_tokenizer", None)
    kind = type(tokenizer).__name__ if backend is None else f"{type(backend.model).__name__} ({type(tokenizer).__name__})"

    def encode(texts: Sequence[str]) -> list[list[int]]:
        return [list(ids) for ids in tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]]

    return OtherTokenizer(kind, size, bytes_of_pieces(pieces, special, unknown), encode)


def _of_spec(data: bytes, path: Path) -> OtherTokenizer:
    from tokenizers import Tokenizer

    with runnable(path):
        tokenizer = Tokenizer.from_buffer(data)
        tokenizer.no_truncation()
        tokenizer.no_padding()
    pieces = {token_id: piece for piece, token_id in tokenizer.get_vocab(with_added_tokens=True).items()}
    unknown = getattr(tokenizer.model, "unk_token", None)
    unknown_id = getattr(tokenizer.model, "unk_id", None) if unknown is None else tokenizer.token_to_id(unknown)

    def encode(texts: Sequence[str]) -> list[list[int]]:
        return [entry.ids for entry in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    table = bytes_of_pieces(pieces, set(tokenizer.get_added_tokens_decoder()), unknown_id)
    return OtherTokenizer(type(tokenizer.model).__name__, max(pieces) + 1, table, encode)


def _of_model(data: bytes, path: Path) -> OtherTokenizer:
    from sentencepiece import SentencePieceProcessor
    from sentencepiece import sentencepiece_model_pb2 as proto

    model = proto.ModelProto()
    try:
        model.ParseFromString(data)
        processor = SentencePieceProcessor(model_proto=data)
    except Exception as error:  # DecodeError belongs to protobuf, RuntimeError to sentencepiece
        raise InputError(f"{path}: not a SentencePiece model that `sentencepiece` loads ({' '.join(str(error).split())}); fetch the file again") from error
    if not model.pieces:  # an empty file is such a model, and sentencepiece loads it
        raise InputError(f"{path}: a SentencePiece model without pieces; fetch the file again")
    names = {value: name.capitalize() for name, value in proto.TrainerSpec.ModelType.items()}
    pieces = {token_id: piece.piece for token_id, piece in enumerate(model.pieces)}
    special = {token_id for token_id, piece in enumerate(model.pieces) if piece.type in (sentencepiece.CONTROL, sentencepiece.USER_DEFINED)}

    def encode(texts: Sequence[str]) -> list[list[int]]:
        return [list(ids) for ids in processor.encode(list(texts), out_type=int)]

    table = bytes_of_pieces(pieces, special, processor.unk_id())
    return OtherTokenizer(f"SentencePiece {names[model.trainer_spec.model_type]}", len(pieces), table, encode)


def bytes_of_pieces(pieces: Mapping[int, str], special: set[int], unknown: int | None) -> dict[int, bytes]:
    """Id -> bytes of every token; a special one stands for its text.

    Which way of writing bytes the vocabulary has is told by all of it: byte-level where every piece is made of that table's characters and one has a space,
    else text with "▁" for a space, `<0xE3>` for a byte and `##` before what goes on in a word.
    """
    ordinary = [piece for token_id, piece in pieces.items() if token_id not in special]
    space = byte_level.BYTE_TO_CHAR[ord(" ")]
    to_bytes: Callable[[str], bytes] = _of_text
    if any(space in piece for piece in ordinary) and all(map(byte_level.is_byte_text, ordinary)):
        to_bytes = byte_level.to_bytes
    table = {token_id: piece.encode("utf-8") if token_id in special else to_bytes(piece) for token_id, piece in pieces.items()}
    return table if unknown is None else table | {unknown: UNKNOWN}


def _of_text(piece: str) -> bytes:
    return sentencepiece.to_bytes(piece.removeprefix(CONTINUED) or piece)
