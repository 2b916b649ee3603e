"""How many rows the embedding of a model folder has, read from the header of its weights. Nothing here imports torch."""

from __future__ import annotations

from pathlib import Path

from jp_adapt.core.errors import InputError
from jp_adapt.core.files import read_json
from jp_adapt.model.weight_files import read_header

EMBEDDING = "embed_tokens.weight"  # the end of its name in every model that transformers builds like Llama
INDEX = "model.safetensors.index.json"


def embedding_rows(folder: Path) -> int | None:
    """Rows of the input embedding of a model folder: of its weights, else as config.json says. None where neither tells.

    Raises:
        InputError: a file of the folder is damaged.
    """
    for path in _weights(folder):
        for name, tensor in read_header(path).items():
            if name.endswith(EMBEDDING) and len(tensor["shape"]) == 2:
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
