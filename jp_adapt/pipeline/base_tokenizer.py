"""The tokenizer of a base's folder against its model, and against what a recipe wants of it, before any work starts. Nothing here imports torch."""

from __future__ import annotations

from pathlib import Path

from jp_adapt.core.errors import InputError
from jp_adapt.core.files import read_json
from jp_adapt.model.embedding_rows import check_embedding_rows
from jp_adapt.tokenizer.bpe import check_normalizer, check_spec
from jp_adapt.tokenizer.hub_config import keeping_config, refuse_conflicts, token_ids
from jp_adapt.tokenizer.load import SPEC


def check_base_tokenizer(folder: Path, *, extended: bool) -> None:
    """InputError where a token of the base has no embedding row, or its tokenizer is to be `extended` and cannot be.

    A folder without tokenizer.json passes: what is made of it says so.
    """
    path = folder / SPEC
    if not path.is_file():
        return
    spec = read_json(path)
    if extended:
        check_spec(spec, str(path))
        check_normalizer(spec, str(path))
        config = keeping_config(folder, spec)
        if config is not None:
            refuse_conflicts(config, folder)
    try:
        ids = token_ids(spec)
    except (AttributeError, KeyError, TypeError, IndexError) as error:
        raise InputError(f"{path}: holds no tokenizer ({type(error).__name__}: {error}); fetch the file again") from error
    check_embedding_rows(folder, 1 + max(ids.values(), default=-1))
