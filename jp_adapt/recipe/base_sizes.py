"""The sizes of a recipe's base, as far as they can be told without its weights."""

from __future__ import annotations

from pathlib import Path

from jp_adapt.core.errors import InputError
from jp_adapt.core.suggest import did_you_mean
from jp_adapt.model.architectures import KNOWN, Architecture, from_folder, from_gguf
from jp_adapt.model.sources import gguf_file
from jp_adapt.recipe.schema import Base, Recipe


def base_architecture(base: Base, place: Path) -> Architecture:
    """The sizes of a base: from its folder, its GGUF, or the published figures of its hub id. InputError, which names `place`, where they are not known."""
    if base.path is not None:
        return from_folder(Path(base.path))
    if base.file is not None:
        return from_gguf(gguf_file(base.package, base.file, base.version))
    if base.model not in KNOWN:
        raise InputError(
            f"{place}: the sizes of {base.model} are not known here{did_you_mean(str(base.model), KNOWN)}; put its config.json into a folder and plan with "
            "-s 'base={path: FOLDER}' (the weights are not needed)"
        )
    return KNOWN[base.model]


def known_architecture(base: Base) -> Architecture | None:
    """As `base_architecture`; None where the sizes are not known."""
    try:
        return base_architecture(base, Path("recipe"))
    except InputError:
        return None


def check_lengths(recipe: Recipe, path: Path) -> None:
    """InputError for rows longer than any text that the base was trained for, where that is known: it reads them badly, and they are padded to their length."""
    sizes = known_architecture(recipe.base)
    positions = sizes.positions if sizes is not None else None
    for stage in recipe.stages:
        length = getattr(stage, "sequence_tokens", 0)
        if positions is not None and length > positions:
            raise InputError(
                f"{path}: stage '{stage.id}': sequence_tokens is {length:,}, and the base was trained for texts of {positions:,} "
                "(max_position_embeddings, rope_scaling); give that or fewer, or a base whose config.json allows more"
            )
