"""Look into the texts of a recipe before any work starts, so that a wrong one is found now and not in an hour."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jp_adapt.commands.prepared import is_prepared
from jp_adapt.core.errors import InputError, Problems
from jp_adapt.core.extras import require_extra
from jp_adapt.core.hashes import sha256_file
from jp_adapt.corpus.record_fields import Fields
from jp_adapt.corpus.sources import read_documents
from jp_adapt.model.sources import check_hash, folder_files, gguf_file
from jp_adapt.recipe.base_sizes import check_lengths
from jp_adapt.recipe.held_out import document_keys, repeated_documents, trained_and_measured
from jp_adapt.recipe.load import LoadedRecipe, load_recipe
from jp_adapt.recipe.schema import PreferenceStage, Recipe, SftStage, Source, TokenizerStage
from jp_adapt.recipe.text_notes import text_notes

HASHED_BYTES = 1_000_000_000  # a pinned file of at most so many is compared with its hash at once, others by the run
READ_WHOLE_BYTES = 64_000_000  # larger files are read when their stage comes; this much takes about a second


def load_checked(name_or_path: str | Path, overrides: str | Sequence[str] = ()) -> tuple[LoadedRecipe, list[str]]:
    """`load_recipe`, and the notes of `check_inputs`. Where files are missing, what is wrong with the others is said with it."""
    problems = Problems()
    with problems.collected():
        return _checked(load_recipe(name_or_path, overrides))
    if all(isinstance(error, InputError) for error in problems.errors):
        with problems.collected():
            _checked(load_recipe(name_or_path, overrides, need_files=False))
    problems.refuse()
    raise AssertionError("a recipe without a problem")


def check_recipe(name_or_path: str | Path, overrides: str | Sequence[str] = ()) -> list[str]:
    """Check a recipe and every file that it names, as `jp-adapt check` does. Comes back: what is no error and should be known.

    Raises:
        UsageError, InputError: what is wrong, all of it, each with its place.
    """
    return load_checked(name_or_path, overrides)[1]


def _checked(loaded: LoadedRecipe) -> tuple[LoadedRecipe, list[str]]:
    return loaded, check_inputs(loaded)


def check_inputs(loaded: LoadedRecipe, *, open_gguf: bool = False) -> list[str]:
    """Look into every file that is there (a GGUF where `open_gguf`): a source of at most `READ_WHOLE_BYTES` holds its texts, and the base fits the recipe.

    Returns:
        What is no error and should be known: `text_notes`, documents that are measured and trained on, and conversations that cannot be measured.

    Raises:
        UsageError: among what is wrong is an optional package that is not installed.
        InputError: something else is wrong. Each lists everything.
    """
    recipe, problems = loaded.recipe, Problems()
    with problems.collected():
        if recipe.distributed == "deepspeed":
            require_extra("deepspeed", "distributed: deepspeed", "use distributed: fsdp")
    keys: dict[str, frozenset[bytes]] = {}
    read: dict[str, list[str]] = {}
    compared = {name for names in trained_and_measured(recipe) for name in names}
    for name, source in recipe.sources.items():
        with problems.collected():
            texts = _read_texts(source)
            read |= {name: texts} if texts else {}
            keys[name] = document_keys(texts if name in compared else ())
    readable = not problems.errors
    chat_notes: list[str] = []
    place = recipe.base.path or (recipe.base.file if recipe.base.package is None else None)
    if place is None or Path(place).exists():
        with problems.collected():
            _check_base(recipe)
            if recipe.base.file is None or open_gguf:
                check_lengths(recipe, loaded.path)
            if readable and recipe.base.path is not None:
                chat_notes = check_base_chats(recipe, Path(recipe.base.path))
    for stage in recipe.stages:
        with problems.collected():
            if stage.needs is not None:
                require_extra(stage.needs, f"stage '{stage.id}' ({stage.kind})")
    problems.refuse()
    return [*text_notes(recipe, read), *repeated_documents(recipe, keys), *chat_notes]


def _read_texts(source: Source) -> list[str]:
    """The documents to train on of a text source that is read whole. A source of another kind is checked, and gives none."""
    path = Path(source.path)
    if is_prepared(path):
        from jp_adapt.commands.source_parts import refuse_prepared
        from jp_adapt.corpus.shards import TokenShards

        TokenShards(path)
        refuse_prepared(source)
    elif path.is_file() and path.stat().st_size <= READ_WHOLE_BYTES:
        if source.format == "chat":
            from jp_adapt.commands.source_parts import read_chats  # numpy comes with it, as with the shards: `check` answers at once

            read_chats(source, "training", Fields(source.ignore))
        elif source.format == "preference":
            from jp_adapt.corpus.preferences import read_preferences

            read_preferences(path, Fields(source.ignore))
        elif source.heldout is not None:
            from jp_adapt.commands.source_parts import read_texts

            return read_texts(source, "training")
        else:
            return read_documents(path, source.field)
    return []


def check_base_chats(recipe: Recipe, base: Path) -> list[str]:
    """What should be known of the conversations of the recipe in their chat templates (see `pipeline/chats.py`). InputError: what is wrong with them."""
    if not any(isinstance(stage, SftStage | PreferenceStage) for stage in recipe.stages) or not (base / "tokenizer.json").is_file():
        return []
    from jp_adapt.pipeline.chats import check_chats, unmeasured_chats  # numpy and tokenizers come with it: `check` of other recipes answers at once

    if problems := check_chats(recipe, base):
        raise InputError("\n".join(problems))
    return unmeasured_chats(recipe, base)


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
