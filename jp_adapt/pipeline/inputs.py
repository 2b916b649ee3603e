"""Look into the texts of a recipe before any work starts, so that a wrong one is found now and not in an hour."""

from __future__ import annotations

from pathlib import Path

from jp_adapt.core.errors import InputError
from jp_adapt.core.extras import require_extra
from jp_adapt.corpus.record_fields import Fields
from jp_adapt.corpus.sources import read_documents
from jp_adapt.pipeline.base_tokenizer import check_base_tokenizer
from jp_adapt.pipeline.stages.prepared import is_prepared
from jp_adapt.recipe.load import LoadedRecipe
from jp_adapt.recipe.schema import PreferenceStage, Recipe, SftStage, TokenizerStage
from jp_adapt.tokenizer.load import SPEC

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
            elif path.stat().st_size <= READ_WHOLE_BYTES:
                if source.format == "chat":
                    from jp_adapt.corpus.conversations import read_conversations  # numpy comes with it, as with the shards: `check` answers at once

                    read_conversations(path, Fields(source.ignore))
                elif source.format == "preference":
                    from jp_adapt.corpus.preferences import read_preferences

                    read_preferences(path, Fields(source.ignore))
                else:
                    read_documents(path, source.field)
        except InputError as error:
            problems.append(str(error))
    if loaded.recipe.base.path is not None:
        try:
            check_base_tokenizer(Path(loaded.recipe.base.path), extended=extends(loaded.recipe))
            problems += [] if problems else check_base_chats(loaded.recipe, Path(loaded.recipe.base.path))
        except InputError as error:
            problems.append(str(error))
    for stage in loaded.recipe.stages:
        if stage.needs is not None:
            require_extra(stage.needs, f"stage '{stage.id}' ({stage.kind})")
    if problems:
        raise InputError("\n".join(problems))


def check_base_chats(recipe: Recipe, base: Path) -> list[str]:
    """What is wrong with the conversations of the recipe in their chat templates (see `check_chats`)."""
    if not any(isinstance(stage, SftStage | PreferenceStage) for stage in recipe.stages) or not (base / SPEC).is_file():
        return []
    from jp_adapt.pipeline.chats import check_chats  # numpy and tokenizers come with it: `check` of other recipes answers at once

    return check_chats(recipe, base)


def extends(recipe: Recipe) -> bool:
    """Whether a stage of the recipe extends the base's tokenizer."""
    return any(isinstance(stage, TokenizerStage) for stage in recipe.stages)
