"""How many rows the embedding of a model folder has, read from the header of its weights. Nothing here imports torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jp_adapt.core.errors import InputError
from jp_adapt.core.files import read_json

EMBEDDING = "embed_tokens.weight"  # the end of its name in every model that transformers builds like Llama
INDEX = "model.safetensors.index.json"
MAX_HEADER_BYTES = 100_000_000  # the format's own bound


def embedding_rows(folder: Path) -> int | None:
    """Rows of the input embedding of a model folder: of its weights, else as config.json says. None where neither tells.

    Raises:
        InputError: a file of the folder is damaged.
    """
    for path in _weights(folder):
        for name, tensor in _header(path).items():
            if name.endswith(EMBEDDING) and isinstance(tensor, dict) and isinstance(tensor.get("shape"), list) and len(tensor["shape"]) == 2:
                return int(tensor["shape"][0])
    config = read_json(folder / "config.json") if (folder / "config.json").is_file() else {}
    size = config.get("vocab_size") if isinstance(config, dict) else None
    return size if type(size) is int else None


def check_embedding_rows(folder: Path, num_tokens: int) -> int:
    """How many rows of a model folder belong to none of the `num_tokens` ids of its tokenizer; 0 where the folder holds no model.

    Raises:
        InputError: there are more ids than rows.
    """
    rows = embedding_rows(folder)
    if rows is None:
        return 0
    if rows < num_tokens:
        raise InputError(
            f"{folder}: its tokenizer has {num_tokens:,} tokens, and the embedding of its model {rows:,} rows: ids from {rows:,} on have no row. "
            "Fetch the tokenizer that belongs to the model, or take out of tokenizer.json and the files beside it the tokens that were added without a row"
        )
    return rows - num_tokens


def _weights(folder: Path) -> list[Path]:
    """The files that may hold the embedding, that of the index first."""
    if (folder / INDEX).is_file():
        index = read_json(folder / INDEX)
        files = index.get("weight_map") if isinstance(index, dict) else None
        named = [folder / str(file) for name, file in files.items() if name.endswith(EMBEDDING)] if isinstance(files, dict) else []
        return [path for path in named if path.is_file()]
    return sorted(folder.glob("*.safetensors"))


def _header(path: Path) -> dict[str, Any]:
    """The header of a safetensors file: eight bytes of its length, then JSON (github.com/huggingface/safetensors, README, Format)."""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if size > MAX_HEADER_BYTES:
                raise ValueError(f"a header of {size:,} bytes")
            header = json.loads(file.read(size))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: not a readable safetensors file ({error}); fetch the file again") from error
    if not isinstance(header, dict):
        raise InputError(f"{path}: not a readable safetensors file; fetch the file again")
    return header
