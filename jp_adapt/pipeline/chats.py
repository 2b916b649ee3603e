"""The conversations of a recipe in their chat templates, before any stage runs: a template that refuses some is found now, and not behind hours of training."""

from __future__ import annotations

from pathlib import Path

from jp_adapt.commands.source_parts import read_chats
from jp_adapt.core.errors import InputError
from jp_adapt.corpus.conversations import Conversation, fit_length, read_conversations
from jp_adapt.corpus.preferences import encode_preference, read_preferences
from jp_adapt.corpus.record_fields import Fields
from jp_adapt.pipeline.stages.sft import Chat, not_measured, own_chat, stage_chat
from jp_adapt.recipe.schema import ExportStage, PreferenceStage, Recipe, SftStage, Stage

READ_WHOLE_BYTES = 64_000_000  # larger files are read when their stage comes; this much takes about a second
SHAPES = 300  # conversations of different shape that are rendered: a template looks at roles and fields, hardly at texts


def check_chats(recipe: Recipe, base: Path) -> list[str]:
    """What is wrong with the conversations of each stage in its chat template, with the tokenizer of the base, to which a stage adds no special token."""
    problems: list[str] = []
    for stage in recipe.stages:
        try:
            if isinstance(stage, SftStage):
                chat = stage_chat(stage, recipe, base, base)
                names = [name for name in (*(item.source for item in stage.data), *stage.heldout) if recipe.sources[name].format == "chat"]
                for name in dict.fromkeys(names):
                    _check_conversations(chat, Path(recipe.sources[name].path), recipe.sources[name].ignore)
            elif isinstance(stage, PreferenceStage):
                chat = _start_chat(stage, recipe, base)
                for name in stage.pairs:
                    _check_pairs(chat, Path(recipe.sources[name].path), recipe.sources[name].ignore)
        except InputError as error:
            problems.append(str(error) if str(error).startswith("stage '") else f"stage '{stage.id}': {error}")
    return problems


def unmeasured_chats(recipe: Recipe, base: Path) -> list[str]:
    """A line for each source whose held-out conversations are all too long for their stage, with the tokenizer of the base. What is wrong is not looked for."""
    lines = []
    for stage in (stage for stage in recipe.stages if isinstance(stage, SftStage) and stage.too_long != "error"):
        encode = stage_chat(stage, recipe, base, base).encoder
        for name in stage.heldout:
            source = recipe.sources[name]
            if source.format != "chat" or Path(source.path).stat().st_size > READ_WHOLE_BYTES:
                continue
            held_out = [entry for entry in read_chats(source, "heldout", Fields(source.ignore)) if entry.is_trained]
            if held_out and not any(fit_length([(encode.sample(entry), entry.place)], stage.sequence_tokens, stage.too_long)[0] for entry in held_out):
                lines.append(not_measured(stage, name))
    return lines


def _start_chat(stage: PreferenceStage, recipe: Recipe, base: Path) -> Chat:
    """The template that the start of a preference stage will have: that of its sft stage, else the base's own."""
    stages = {entry.id: entry for entry in recipe.stages}
    start: Stage | None = stages.get(stage.start)
    while start is not None and not isinstance(start, SftStage):
        start = stages.get(start.start) if isinstance(start, ExportStage | PreferenceStage) or hasattr(start, "start") else None
    return own_chat(base, stage.id) if start is None else stage_chat(start, recipe, base, base)


def _check_conversations(chat: Chat, path: Path, ignore: list[str]) -> None:
    if path.stat().st_size > READ_WHOLE_BYTES:
        return
    shapes: dict[object, Conversation] = {}
    for conversation in read_conversations(path, Fields(ignore)):
        if conversation.is_trained and len(shapes) < SHAPES:
            shapes.setdefault(_shape(conversation), conversation)
    for conversation in shapes.values():
        chat.encoder.segments(conversation)


def _check_pairs(chat: Chat, path: Path, ignore: list[str]) -> None:
    if path.stat().st_size > READ_WHOLE_BYTES:
        return
    pairs = {_shape(Conversation(pair.prompt, pair.place, pair.tools)): pair for pair in reversed(read_preferences(path, Fields(ignore)))}
    for pair in list(pairs.values())[:SHAPES]:
        encode_preference(chat.encoder, pair)


def _shape(conversation: Conversation) -> object:
    """What a template may look at: whose turn it is, which fields there are, what is trained."""
    turns = tuple((message["role"], tuple(sorted(name for name, value in message.items() if value))) for message in conversation.messages)
    return turns, bool(conversation.tools)
