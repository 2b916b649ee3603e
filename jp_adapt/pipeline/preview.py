"""Conversations of a recipe as the model reads them: which tokens an sft stage trains on, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from jp_adapt.commands.source_parts import read_chats
from jp_adapt.core.errors import UsageError
from jp_adapt.core.suggest import did_you_mean
from jp_adapt.corpus.conversations import Sample
from jp_adapt.corpus.pack import IGNORED
from jp_adapt.corpus.record_fields import Fields
from jp_adapt.model.sources import TOKENIZER_FILES, download, gguf_file
from jp_adapt.pipeline.stages.sft import stage_chat
from jp_adapt.recipe.schema import Base, Recipe, SftStage
from jp_adapt.tokenizer.encoder import plain_tokenizer


@dataclass(frozen=True)
class PreviewToken:
    """A token of a conversation; `trained` where its prediction carries loss."""

    id: int
    text: str
    trained: bool


@dataclass(frozen=True)
class Preview:
    """A conversation in the template of a stage: where it stands, its tokens, and its text in runs (text, whether it carries loss)."""

    stage: str
    source: str
    place: str
    tokens: list[PreviewToken]
    runs: list[tuple[str, bool]]


def preview_chats(recipe: Recipe, stage_id: str | None = None, examples: int = 1) -> list[Preview]:
    """The first `examples` conversations of every source of an sft stage (the first one of the recipe by default), with the tokenizer of the base.

    Raises:
        UsageError: the recipe has no such stage. InputError: as of the stage itself: a file, a template or a conversation that is wrong.
    """
    stage = _stage(recipe, stage_id)
    with _tokenizer_folder(recipe.base) as folder:
        chat, tokenizer = stage_chat(stage, recipe, folder, folder), plain_tokenizer(folder)
        results = []
        for item in stage.data:
            source = recipe.sources[item.source]
            conversations = [entry for entry in read_chats(source, "training", Fields(source.ignore)) if entry.is_trained]
            for conversation in conversations[:examples]:
                sample = chat.encoder.sample(conversation)
                tokens = [PreviewToken(token, tokenizer.decode([token], skip_special_tokens=False), trained) for token, trained in _marked(sample)]
                runs = [
                    (tokenizer.decode([token.id for token in run], skip_special_tokens=False), trained)
                    for trained, run in groupby(tokens, key=lambda token: token.trained)
                ]
                results.append(Preview(stage.id, item.source, conversation.place, tokens, runs))
    return results


def _marked(sample: Sample) -> list[tuple[int, bool]]:
    """(id, whether it is a target) of every token of a sample; the first has nothing before it."""
    trained = [False, *(target != IGNORED for target in sample.targets)]
    return list(zip(sample.ids, trained, strict=True))


def _stage(recipe: Recipe, stage_id: str | None) -> SftStage:
    stages = {stage.id: stage for stage in recipe.stages if isinstance(stage, SftStage)}
    if not stages:
        raise UsageError(f"{recipe.name}: no sft stage, so that no conversation is read; other stages train on every token of a text")
    if stage_id is not None and stage_id not in stages:
        raise UsageError(f"--stage {stage_id}: no such sft stage{did_you_mean(stage_id, stages)}; sft stages: {', '.join(stages)}")
    return stages[stage_id or next(iter(stages))]


@contextmanager
def _tokenizer_folder(base: Base) -> Iterator[Path]:
    """A folder with the tokenizer and the chat template of a base; of a GGUF file they are written for the while."""
    if base.path is not None:
        yield Path(base.path)
    elif base.model is not None:
        yield download(base.model, base.revision or "main", TOKENIZER_FILES)
    else:
        from jp_adapt.export.gguf_folder import token_ids, write_tokenizer
        from jp_adapt.model.gguf_file import GgufFile

        file = GgufFile(gguf_file(base.package, str(base.file), base.version))
        with TemporaryDirectory() as folder:
            write_tokenizer(file, token_ids(file), Path(folder))
            yield Path(folder)
