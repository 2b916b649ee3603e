"""Load a tokenizer from whatever a user has: a folder, a `tokenizer.json`, a SentencePiece `tokenizer.model`, a tiktoken rank file.

The family is recognised by the content of the file, never by its name: the `tokenizer.model` of Llama-2 and that of Llama-3 are two kinds of files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jp_adapt.core.errors import InputError
from jp_adapt.core.foreign_json import parse_json
from jp_adapt.tokenizer import sentencepiece, tiktoken
from jp_adapt.tokenizer.bpe import BpeTokenizer, check_spec

SPEC = "tokenizer.json"
SENTENCEPIECE_MODEL = "tokenizer.model"
RANK_FILE = "original/tokenizer.model"  # where Meta's Llama-3 folders have it: in the folder itself llama.cpp's converter takes it for a SentencePiece model
PROBE = "日本語 and 12\n"  # cut once where a tokenizer is loaded, since some malformed files load and cannot cut
NATIVE = (SENTENCEPIECE_MODEL, RANK_FILE)


@dataclass(frozen=True, repr=False)
class LoadedTokenizer:
    """A tokenizer with its native model, if it has one, the files it came from, and its folder if it is a Hugging Face tokenizer."""

    tokenizer: BpeTokenizer
    files: list[Path]
    sentencepiece: Any = None  # the parsed tokenizer.model of a SentencePiece tokenizer
    ranks: dict[bytes, int] | None = None  # the rank file of a tiktoken one
    folder: Path | None = None  # with tokenizer.json in it; None where single files were given

    def __repr__(self) -> str:
        return f"<LoadedTokenizer {self.tokenizer.family}, {self.tokenizer.vocab_size:,} tokens, of {', '.join(map(str, self.files)) or 'no file'}>"


def load_tokenizer(path: str | Path) -> LoadedTokenizer:
    """The tokenizer of a folder or a file.

    Raises:
        InputError: nothing readable there; a family that cannot be extended (it is named); or `tokenizer.json` and `tokenizer.model` of one folder
            that are not the same tokenizer.
    """
    try:
        return _load(Path(path))
    except OSError as error:  # a name too long, a folder that may not be entered
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error


def _load(path: Path) -> LoadedTokenizer:
    if path.is_dir():
        spec_file = path / SPEC
        native_file = next((path / name for name in NATIVE if (path / name).is_file()), None)
        if spec_file.is_file():
            return _load_both(spec_file, native_file)
        if native_file is None:
            raise InputError(f"{path}: no {SPEC} and no {NATIVE[0]} here; give the folder of a Hugging Face tokenizer, or one of these files")
        path = native_file
    data = _read(path)
    if data.lstrip()[:1] == b"{":
        return LoadedTokenizer(_parse_spec(data, path), [path])
    model, ranks = _parse_native(data, path)
    spec = sentencepiece.spec_of(model) if ranks is None else tiktoken.spec_of(ranks, str(path))
    return LoadedTokenizer(BpeTokenizer(spec), [path], model, ranks)


def _load_both(spec_file: Path, native_file: Path | None) -> LoadedTokenizer:
    tokenizer = _parse_spec(_read(spec_file), spec_file)
    if native_file is None:
        return LoadedTokenizer(tokenizer, [spec_file], folder=spec_file.parent)
    model, ranks = _parse_native(_read(native_file), native_file)
    if ranks is None:
        pieces = {piece.piece: token_id for token_id, piece in enumerate(model.pieces) if piece.type != sentencepiece.UNUSED}
    else:
        pieces = {tokenizer.to_text(token): rank for token, rank in ranks.items()}
    vocab = tokenizer.spec["model"]["vocab"] | {token["content"]: token["id"] for token in tokenizer.spec["added_tokens"]}
    differing = [text for text, token_id in pieces.items() if vocab.get(text) != token_id]
    differing += [text for text in vocab if text not in pieces and text not in tokenizer.special_texts]
    if differing:
        every = vocab.keys() | pieces
        raise InputError(
            f"{spec_file.parent}: {spec_file.name} and {native_file.name} are two different tokenizers ({len(differing):,} of {len(every):,} tokens stand at "
            f"another id or in one of them only, '{differing[0]}' for example); find out which one the model was trained with, and give that file"
        )
    return LoadedTokenizer(tokenizer, [spec_file, native_file], model, ranks, spec_file.parent)


def _parse_native(data: bytes, path: Path) -> tuple[Any, dict[bytes, int] | None]:
    """The parsed SentencePiece model and None, or None and the ranks."""
    if _looks_like_ranks(data):
        return None, tiktoken.read_ranks(data, str(path))
    return sentencepiece.read_model(data, str(path)), None


def holds_ranks(path: Path) -> bool:
    """Whether a native model is a tiktoken rank file, and not a SentencePiece model."""
    with path.open("rb") as file:
        return _looks_like_ranks(file.read(4096))


def _looks_like_ranks(data: bytes) -> bool:
    """Whether the first line is base64, a space, and a number; a SentencePiece model begins with binary fields."""
    parts = data[:4096].split(b"\n", 1)[0].split()
    return len(parts) == 2 and parts[1].isdigit()


def _parse_spec(data: bytes, path: Path) -> BpeTokenizer:
    try:
        spec = parse_json(data, "JSON")
    except InputError as error:
        raise InputError(f"{path}: not a readable tokenizer.json ({str(error).removeprefix('JSON: ')}); fetch the file again") from error
    check_spec(spec, str(path))
    tokenizer = BpeTokenizer(spec)
    with runnable(path):
        tokenizer.runtime.decode(tokenizer.runtime.encode(PROBE).ids)
    return tokenizer


@contextmanager
def runnable(path: Path) -> Iterator[None]:
    """InputError where `tokenizers` cannot run a tokenizer.json: it raises Exception itself, or panics, which is no Exception."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise InputError(f"{path}: not a tokenizer.json that `tokenizers` can run ({' '.join(str(error).split())}); fetch the file again") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file or folder") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
