"""Write a tokenizer's folder: the Hugging Face files, and for an extension the native model of its family, made from the same list of tokens."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from jp_adapt.core.files import read_json, write_bytes, write_json
from jp_adapt.tokenizer import sentencepiece, tiktoken
from jp_adapt.tokenizer.extend import Extension
from jp_adapt.tokenizer.hub_config import ADDED_TOKENS, CONFIG, KEEPING_CLASS, MODEL_INPUTS, SPECIAL_TOKENS_MAP, HubConfig, keeping_config, refuse_conflicts
from jp_adapt.tokenizer.load import NATIVE, RANK_FILE, SENTENCEPIECE_MODEL, SPEC, LoadedTokenizer, holds_ranks

EXTENSION = "extension.json"
COPIED = (SPECIAL_TOKENS_MAP, ADDED_TOKENS, "chat_template.jinja", "generation_config.json", "jp_adapt.json")


def native_model(base: LoadedTokenizer, extension: Extension) -> bytes | None:
    """The native model of the extension: a SentencePiece model or a tiktoken rank file; None where the base has none.

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


def save_tokenizer(base: LoadedTokenizer, extension: Extension, base_folder: str | Path | None, folder: str | Path) -> None:
    """Write tokenizer.json, the native model and extension.json; configuration, special tokens and chat template come over from the base's folder.

    The configuration names a class that runs tokenizer.json as it is (`keeping_config`).

    Raises:
        InputError: the base's configuration names tokens that its tokenizer.json lacks.
    """
    base_folder, folder = None if base_folder is None else Path(base_folder), Path(folder)
    config = extended_config(base, base_folder).fields
    config |= {"vocab_size": extension.vocab_size} if "vocab_size" in config else {}
    write_json(folder / SPEC, extension.tokenizer.spec)
    data = native_model(base, extension)
    if data is not None:
        write_bytes(folder / (SENTENCEPIECE_MODEL if base.sentencepiece is not None else RANK_FILE), data)
    if base_folder is not None:
        _copy(COPIED, base_folder, folder)
    write_json(folder / CONFIG, config)
    write_json(folder / EXTENSION, extension_record(extension))


def extended_config(base: LoadedTokenizer, base_folder: Path | None) -> HubConfig:
    """The tokenizer_config.json of an extension. InputError where the base's names tokens that its tokenizer.json lacks."""
    config = None if base_folder is None else keeping_config(base_folder, base.tokenizer.spec)
    if config is None or base_folder is None:
        return HubConfig(_config(base))
    refuse_conflicts(config, base_folder)
    return config


def copy_tokenizer(source: Path, target: Path) -> None:
    """The files of a tokenizer's folder. All are as they are, but for a configuration whose class would not run tokenizer.json as it is: that is mended."""
    _copy((SPEC, *COPIED), source, target)
    for name in NATIVE:
        if (source / name).is_file():
            place = target / (RANK_FILE if holds_ranks(source / name) else name)
            place.parent.mkdir(exist_ok=True)
            shutil.copyfile(source / name, place)
    config = keeping_config(source, read_json(source / SPEC)) if (source / SPEC).is_file() else None
    if config is not None and config.changes:
        write_json(target / CONFIG, config.fields)
    else:
        _copy((CONFIG,), source, target)


def _copy(names: tuple[str, ...], source: Path, target: Path) -> None:
    for name in names:
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


def _config(base: LoadedTokenizer) -> dict[str, Any]:
    """What `transformers` needs to load a tokenizer.json that came without its configuration (from a native model alone)."""
    texts = base.tokenizer.special_texts
    bos = next((text for text in ("<s>", "<|begin_of_text|>") if text in texts), None)
    eos = next((text for text in ("</s>", "<|end_of_text|>") if text in texts), None)
    config = {"tokenizer_class": KEEPING_CLASS, "bos_token": bos, "eos_token": eos, "clean_up_tokenization_spaces": False, "model_input_names": MODEL_INPUTS}
    return config | ({"unk_token": "<unk>"} if "<unk>" in texts else {})


def extension_record(extension: Extension) -> dict[str, Any]:
    """For each new id: the token, its bytes, the base ids that spelled it, and its count in the corpus."""
    tokens = [
        {"id": extension.first_new_id + index, "token": token.decode("utf-8", errors="replace"), "bytes": token.hex(), "sources": sources, "count": count}
        for index, (token, sources, count) in enumerate(zip(extension.tokens, extension.sources, extension.counts, strict=True))
    ]
    return {"first_new_id": extension.first_new_id, "tokens": tokens}
