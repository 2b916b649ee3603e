"""A source of a recipe as a stage reads it: its documents or conversations to train on, or those that it holds out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

from jp_adapt.commands.prepared import is_prepared, prepared_texts
from jp_adapt.core.errors import InputError
from jp_adapt.corpus.conversations import Conversation, read_conversations
from jp_adapt.corpus.heldout import split_documents, split_heldout
from jp_adapt.corpus.record_fields import Fields
from jp_adapt.corpus.sources import read_documents
from jp_adapt.recipe.schema import Source

SourcePart = Literal["training", "heldout"]
Item = TypeVar("Item")


def read_texts(source: Source, part: SourcePart) -> list[str]:
    """Texts of a source. InputError where a document cannot be read, or none can be held out."""
    refuse_prepared(source)
    path = Path(source.path)
    documents = list(prepared_texts(path)) if is_prepared(path) else read_documents(path, source.field)
    return _part(source, part, documents, split_documents)


def read_chats(source: Source, part: SourcePart, fields: Fields) -> list[Conversation]:
    """Conversations of a source; `fields` counts what else stands in them. InputError as of `read_texts`."""
    conversations = read_conversations(Path(source.path), fields)
    return _part(source, part, conversations, partial(split_heldout, key=lambda conversation: str(conversation.messages)))


def _part(source: Source, part: SourcePart, items: list[Item], split: Callable[[list[Item], float], tuple[list[Item], list[Item]]]) -> list[Item]:
    if source.heldout is None:
        return items
    try:
        training, heldout = split(items, source.heldout)
    except InputError as error:
        raise InputError(f"{Path(source.path)}: {error}") from error
    return heldout if part == "heldout" else training


def refuse_prepared(source: Source) -> None:
    """InputError where documents of a prepared corpus are to be held out: training reads its shards whole."""
    if source.heldout is not None and is_prepared(Path(source.path)):
        raise InputError(f"{source.path}: a prepared corpus is trained on whole, so 'heldout' of this source cannot hold; give a source of its own for it")
