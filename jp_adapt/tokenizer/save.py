"""Write an extended tokenizer: the Hugging Face files, and the native model of its family made from the same list of tokens."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jp_adapt.core.files import write_bytes, write_json
from jp_adapt.tokenizer import sentencepiece, tiktoken
from jp_adapt.tokenizer.extend import Extension
from jp_adapt.tokenizer.load import LoadedTokenizer

if TYPE_CHECKING:
    pass

COPIED = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja", "generation_config.json", "jp_adapt.json")


def native_model(base: LoadedTokenizer, extension: Extension) -> bytes | None:
    """The `tokenizer.model` of the extension: a SentencePiece model or a tiktoken rank file; None where the base has none.

    In the rank file the new ranks begin after the special tokens (128,256 in Llama-3), as the ids do: a loader that puts the special tokens after
    the last rank, as Meta's does, must be told their ids.
    """
    if base.sentencepiece is not None:
        added = [(token["id"], token["content"]) for token in base.tokenizer.spec["added_tokens"]]
        new = [base.tokenizer.to_text(token) for token in extension.tokens]
        return sentencepiece.model_of(base.sentencepiece, extension.first_new_id, added, new)
    if base.ranks is not None:
        return tiktoken.write_ranks(base.ranks | {token: extension.first_new_id + place for place, token in enumerate(extension.tokens)})
    return None


def extended_tokenizer(base: LoadedTokenizer, extension: Extension) -> LoadedTokenizer:
    """The extension with its native model, read back from the bytes that `save_tokenizer` writes."""
    data = native_model(base, extension)
    if base.sentencepiece is not None and data is not None:
        return LoadedTokenizer(extension.tokenizer, [], sentencepiece=sentencepiece.read_model(data, "tokenizer.model"))
    return LoadedTokenizer(extension.tokenizer, [], ranks=None if data is None else tiktoken.read_ranks(data, "tokenizer.model"))


def save_tokenizer(base: LoadedTokenizer, extension: Extension, base_folder: Path | None, folder: Path) -> None:
    """Write tokenizer.json, the native model and extension.json; configuration, special tokens and chat template come over from the base's folder."""
    write_json(folder / "tokenizer.json", extension.tokenizer.spec)
    data = native_model(base, extension)
    if data is not None:
        write_bytes(folder / "tokenizer.model", data)
    for name in COPIED:
        if base_folder is not None and (base_folder / name).is_file():
            shutil.copyfile(base_folder / name, folder / name)
    if not (folder / "tokenizer_config.json").is_file():
        write_json(folder / "tokenizer_config.json", _config(base))
    write_json(folder / "extension.json", extension_record(extension))


def _config(base: LoadedTokenizer) -> dict[str, Any]:
    """What `transformers` needs to load a tokenizer.json that came without its configuration (from a native model alone)."""
    texts = base.tokenizer.special_texts
    bos = next((text for text in ("<s>", "<|begin_of_text|>") if text in texts), None)
    eos = next((text for text in ("</s>", "<|end_of_text|>") if text in texts), None)
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": bos, "eos_token": eos, "clean_up_tokenization_spaces": False}
    return config | ({"unk_token": "<unk>"} if "<unk>" in texts else {})


def extension_record(extension: Extension) -> dict[str, Any]:
    """For each new id: the token, its bytes, the base ids that spelled it, and its count in the corpus."""
    tokens = [
        {"id": extension.first_new_id + index, "token": token.decode("utf-8", errors="replace"), "bytes": token.hex(), "sources": sources, "count": count}
        for index, (token, sources, count) in enumerate(zip(extension.tokens, extension.sources, extension.counts, strict=True))
    ]
    return {"first_new_id": extension.first_new_id, "tokens": tokens}


TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", *COPIED)


def copy_tokenizer(source: Path, target: Path) -> None:
    """The files of a tokenizer, as they are."""
    for name in TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)
