"""Look into the texts of a recipe before any work starts, so that a wrong one is found now and not in an hour."""

from __future__ import annotations

from pathlib import Path

from jp_adapt.commands.prepared import is_prepared
from jp_adapt.core.errors import InputError
from jp_adapt.core.extras import require_extra
from jp_adapt.core.hashes import sha256_file
from jp_adapt.corpus.record_fields import Fields
from jp_adapt.corpus.sources import read_documents
from jp_adapt.model.sources import check_hash, folder_files, gguf_file
from jp_adapt.recipe.load import LoadedRecipe
from jp_adapt.recipe.schema import PreferenceStage, Recipe, SftStage, TokenizerStage

HASHED_BYTES = 1_000_000_000  # a pinned file of at most so many is compared with its hash at once, others by the run
READ_WHOLE_BYTES = 64_000_000  # larger files are read when their stage comes; this much takes about a second


def check_inputs(loaded: LoadedRecipe) -> None:
    """InputError, with everything that is wrong: a source of at most `READ_WHOLE_BYTES` cannot be read or holds no text, the base's tokenizer does not
    fit its model or cannot be extended as the recipe wants.

    UsageError when an optional package that the recipe needs is not installed.
    """
    if loaded.recipe.distributed == "deepspeed":
        require_extra("deepspeed", "distributed: deepspeed", "use distributed: fsdp")
    problems = []
    for source in loaded.recipe.sources.values():
        path = Path(source.path)
        try:
            if is_prepared(path):
                from jp_adapt.corpus.shards import TokenShards

                TokenShards(path)
                if source.heldout is not None:
                    from jp_adapt.commands.source_parts import refuse_prepared

                    refuse_prepared(source)
            elif path.stat().st_size <= READ_WHOLE_BYTES:
                if source.format == "chat":
                    from jp_adapt.commands.source_parts import read_chats  # numpy comes with it, as with the shards: `check` answers at once

                    read_chats(source, "training", Fields(source.ignore))
                elif source.format == "preference":
                    from jp_adapt.corpus.preferences import read_preferences

                    read_preferences(path, Fields(source.ignore))
                elif source.heldout is not None:
                    from jp_adapt.commands.source_parts import read_texts

                    read_texts(source, "training")
                else:
                    read_documents(path, source.field)
        except InputError as error:
            problems.append(str(error))
    try:
        _check_base(loaded.recipe)
        if not problems and loaded.recipe.base.path is not None:
            problems += check_base_chats(loaded.recipe, Path(loaded.recipe.base.path))
    except InputError as error:
        problems.append(str(error))
    for stage in loaded.recipe.stages:
        if stage.needs is not None:
            require_extra(stage.needs, f"stage '{stage.id}' ({stage.kind})")
    if problems:
        raise InputError("\n".join(problems))


def check_base_chats(recipe: Recipe, base: Path) -> list[str]:
    """What is wrong with the conversations of the recipe in their chat templates (see `check_chats`)."""
    if not any(isinstance(stage, SftStage | PreferenceStage) for stage in recipe.stages) or not (base / "tokenizer.json").is_file():
        return []
    from jp_adapt.pipeline.chats import check_chats  # numpy and tokenizers come with it: `check` of other recipes answers at once

    return check_chats(recipe, base)


def _check_base(recipe: Recipe) -> None:
    """What the run would refuse of the base: files that are missing, damaged by their headers, or not the pinned ones, and a tokenizer that does not fit."""
    base = recipe.base
    if base.path is not None:
        from jp_adapt.pipeline.base_tokenizer import check_base_tokenizer  # tokenizers and numpy come with it

        folder_files(Path(base.path))
        check_base_tokenizer(Path(base.path), extended=extends(recipe))
    elif base.file is not None:
        gguf = gguf_file(base.package, base.file, base.version)
        if base.sha256 is not None and gguf.stat().st_size <= HASHED_BYTES:
            check_hash(gguf, sha256_file(gguf), base.sha256)


def extends(recipe: Recipe) -> bool:
    """Whether a stage of the recipe extends the base's tokenizer."""
    return any(isinstance(stage, TokenizerStage) for stage in recipe.stages)
