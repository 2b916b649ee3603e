"""A GGUF file becomes a plain model folder: float32 weights (quantised ones are expanded), the tokenizer of the file's own fields, its chat template."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from jp_adapt.core.errors import InputError
from jp_adapt.core.files import write_bytes, write_json, write_text
from jp_adapt.inference.text_side import GENERATION, TEMPLATE
from jp_adapt.merging.checkpoint import TensorInfo, write_weights
from jp_adapt.model.gguf import dequantized_rows, expected_tensors, model_config
from jp_adapt.model.gguf_file import GgufFile
from jp_adapt.model.gguf_tensors import LlamaTensor
from jp_adapt.tokenizer.gguf import NORMAL, Vocabulary, tokenizer_of
from jp_adapt.tokenizer.load import LoadedTokenizer

MORE_TEMPLATES = "additional_chat_templates"  # transformers' folder for templates that have a name
TOKEN_FIELDS = {
    "bos": "bos_token_id",
    "eos": "eos_token_id",
    "eot": "eot_token_id",
    "eom": "eom_token_id",
    "unk": "unknown_token_id",
    "pad": "padding_token_id",
}


def convert_gguf(gguf: Path, folder: Path) -> None:
    """Write the model and the tokenizer of a GGUF file into `folder`.

    Raises:
        InputError: no readable GGUF file, of no Llama, or with a tokenizer that is not known here.
    """
    file = GgufFile(gguf)
    config = model_config(file)
    tensors = expected_tensors(file, config)
    ids = token_ids(file)
    write_tokenizer(file, ids, folder)
    stops = [ids[name] for name in ("eot", "eos", "eom") if name in ids]
    named = {f"{name}_token_id": ids[name] for name in ("bos", "pad") if name in ids}
    write_json(folder / "config.json", config | named | {"eos_token_id": ids.get("eos")})
    write_json(folder / GENERATION, named | {"eos_token_id": stops[0] if len(stops) == 1 else stops})
    write_weights(folder, {tensor.name: TensorInfo(tensor.shape, torch.float32) for tensor in tensors}, _read_weights(file, tensors))


def _read_weights(file: GgufFile, tensors: Sequence[LlamaTensor]) -> Iterator[torch.Tensor]:
    for tensor in tensors:
        rows = np.ascontiguousarray(tensor.rows_from_gguf(dequantized_rows(file, tensor.gguf)), np.float32)
        if not np.isfinite(rows).all():
            raise InputError(f"{file.path}: {tensor.gguf} holds a weight that is not a finite number; fetch the file again")
        yield torch.from_numpy(rows)


def token_ids(file: GgufFile) -> dict[str, int]:
    """The ids that the file names for bos, eos, eot, eom, unk and pad. InputError for one that no token has."""
    ids = {name: file.get(f"tokenizer.ggml.{field}", int) for name, field in TOKEN_FIELDS.items() if f"tokenizer.ggml.{field}" in file.fields}
    count = len(file.get("tokenizer.ggml.tokens", list))
    for name, token_id in ids.items():
        if not 0 <= token_id < count:
            raise InputError(f"{file.path}: its {name} token has the id {token_id:,}, and it holds {count:,} tokens; fetch the file again")
    return ids


def read_vocabulary(file: GgufFile) -> Vocabulary:
    """The tokenizer's fields of a GGUF file; what it leaves out is what llama.cpp takes then."""
    model, pre = file.get("tokenizer.ggml.model", str), file.get("tokenizer.ggml.pre", str, "default")
    tokens = file.get("tokenizer.ggml.tokens", list)
    spm = model == "llama"
    return Vocabulary(
        model=model,
        pre=pre,
        tokens=tokens,
        types=file.numbers("tokenizer.ggml.token_type", len(tokens)) or [NORMAL] * len(tokens),
        scores=file.numbers("tokenizer.ggml.scores", len(tokens)),
        merges=file.get("tokenizer.ggml.merges", list, []) or None,
        add_bos=file.get("tokenizer.ggml.add_bos_token", bool, spm or pre == "llama-bpe"),
        add_eos=file.get("tokenizer.ggml.add_eos_token", bool, False),
        add_space_prefix=file.get("tokenizer.ggml.add_space_prefix", bool, spm),
    )


def read_tokenizer(file: GgufFile, ids: dict[str, int]) -> LoadedTokenizer:
    """The tokenizer that a GGUF file's own tokens, scores and merges make."""
    return tokenizer_of(read_vocabulary(file), bos=ids.get("bos"), eos=ids.get("eos"), unk=ids.get("unk"), place=str(file.path))


def write_tokenizer(file: GgufFile, ids: dict[str, int], folder: Path) -> None:
    """tokenizer.json, its configuration, the native model of a SentencePiece tokenizer, and the chat template."""
    loaded = read_tokenizer(file, ids)
    tokens = file.get("tokenizer.ggml.tokens", list)
    write_json(folder / "tokenizer.json", loaded.tokenizer.spec)
    if loaded.sentencepiece is not None:
        write_bytes(folder / "tokenizer.model", bytes(loaded.sentencepiece.SerializeToString(deterministic=True)))
    config: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
    config |= {f"{name}_token": tokens[ids[name]] for name in ("bos", "eos", "unk", "pad") if name in ids}
    write_json(folder / "tokenizer_config.json", config)
    if "tokenizer.chat_template" in file.fields:
        write_text(folder / TEMPLATE, file.get("tokenizer.chat_template", str))
    for name in file.get("tokenizer.chat_templates", list, []):
        if not re.fullmatch(r"\w+", name):
            raise InputError(f"{file.path}: a chat template of the name {name!r}, which is not a name of a file; fetch the file again")
        write_text(folder / MORE_TEMPLATES / f"{name}.jinja", file.get(f"tokenizer.chat_template.{name}", str))
