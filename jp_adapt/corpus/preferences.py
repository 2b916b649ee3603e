"""Preferences: a prompt with the answer that was chosen and the one that was rejected."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jp_adapt.core.errors import InputError
from jp_adapt.corpus.chat_records import ROW_FIELDS, asked, check_turns, history_of, is_trained, read_turns, text_of, tools_of, with_system
from jp_adapt.corpus.conversations import Conversation, ConversationEncoder, read_records
from jp_adapt.corpus.pack import IGNORED
from jp_adapt.corpus.record_fields import Fields, is_absent
from jp_adapt.text.chat import Message

PROMPTS = ("prompt", "instruction", "messages", "conversations")


@dataclass(frozen=True)
class Preference:
    """The messages up to the answer, the two answers, the file and line where they stand, and the tools that the assistant may call."""

    prompt: list[Message]
    chosen: str
    rejected: str
    place: str = ""
    tools: list[dict[str, Any]] | None = None


def read_preferences(path: Path, fields: Fields | None = None) -> list[Preference]:
    """All pairs of a .jsonl file (also .gz, .zst, .xz), one a line: a prompt, `chosen` and `rejected`, each a text, a message, or a list of messages.

    The prompt is `prompt`, Alpaca's `instruction` and `input`, or `messages` or `conversations`, with `system` and `history` where they are there. Where
    `chosen` and `rejected` are whole conversations (as in Anthropic's HH data in messages), it may be missing: it is all but the last message. A pair of
    weight 0 is left out.

    Args:
        fields: what else may stand in a record; it counts what was met.

    Raises:
        InputError: with file:line, for a line that is none of these, whose two answers are the same, or that holds a field that is neither used nor a note.
    """
    fields = fields or Fields()
    pairs = [(_preference(record, place, fields), is_trained(record, ("weight", "train"), place)) for place, record in read_records(path)]
    if not pairs:
        raise InputError(f"{path}: no preference")
    results = [pair for pair, trained in pairs if trained]
    if not results:
        raise InputError(f"{path}: every pair has weight 0, so there is nothing to train on")
    return results


def encode_preference(encoder: ConversationEncoder, pair: Preference) -> tuple[list[int], list[int], list[int]]:
    """Ids of the prompt, and of the two answers up to the token that ends them: what a conversation of an sft stage is made of, to the last id.

    InputError, with file:line, when the template cannot take the conversation.
    """
    before = [message | {"weight": 0} if message["role"] == "assistant" else message for message in pair.prompt]
    samples = [
        encoder.sample(Conversation([*before, {"role": "assistant", "content": answer}], pair.place, pair.tools)) for answer in (pair.chosen, pair.rejected)
    ]
    prompts = [sample.ids[: 1 + next(at for at, target in enumerate(sample.targets) if target != IGNORED)] for sample in samples]
    if prompts[0] != prompts[1]:
        raise InputError(f"{pair.place}: the chat template makes two prompts of one, depending on the answer; choose another 'template'")
    chosen, rejected = ([target for target in sample.targets if target != IGNORED] for sample in samples)
    return prompts[0], chosen, rejected


def _preference(record: dict[str, Any], place: str, fields: Fields) -> Preference:
    if missing := [key for key in ("chosen", "rejected") if key not in record]:
        raise InputError(f"{place}: no preference; a line has 'prompt', 'chosen' and 'rejected', and this one lacks '{missing[0]}'")
    own, start = _prompt(record, place, fields)
    chosen, rejected = (_conversation(record, start, key, place, fields) for key in ("chosen", "rejected"))
    if "messages" in record and "messages" not in own and _same(record["messages"], (chosen, rejected), place):
        own = (*own, "messages")  # as UltraFeedback has them, the chosen conversation once more
    fields.check(record, (*own, "chosen", "rejected", *ROW_FIELDS), place)
    if chosen[:-1] != rejected[:-1]:
        raise InputError(f"{place}: 'chosen' and 'rejected' answer two different prompts")
    if chosen == rejected:
        raise InputError(f"{place}: 'chosen' and 'rejected' are the same answer; there is nothing to prefer")
    for key, answer in (("chosen", chosen[-1]), ("rejected", rejected[-1])):
        if more := [name for name in answer if name not in ("role", "content")]:
            raise InputError(f"{place}: {key}: '{more[0]}' of an answer is not used in preferences, which are of plain texts; take the pair out")
    return Preference(chosen[:-1], chosen[-1]["content"], rejected[-1]["content"], place, tools_of(record, place))


def _prompt(record: dict[str, Any], place: str, fields: Fields) -> tuple[tuple[str, ...], list[Message]]:
    """The fields that make the prompt, and its messages, none where the answers hold it themselves."""
    name = next((name for name in PROMPTS if not is_absent(record.get(name))), None)
    if name is None:
        return (), []
    if name == "instruction":
        return ("instruction", "input", "history"), [*history_of(record, place), asked(record, place)]
    prompt = record[name]
    if isinstance(prompt, str) and name == "prompt":
        return ("prompt", "history"), [*history_of(record, place), {"role": "user", "content": text_of(record, "prompt", place)}]
    if not isinstance(prompt, list):
        raise InputError(f"{place}: '{name}' is neither a text nor a list of messages")
    return (name,), _turns(prompt, f"{place}: {name}", fields)


def _turns(value: Any, place: str, fields: Fields) -> list[Message]:
    """Messages of either shape: role and content, or ShareGPT's from and value."""
    turns = [value] if isinstance(value, dict) else value
    sharegpt = isinstance(turns, list) and any(isinstance(turn, dict) and "from" in turn and "role" not in turn for turn in turns)
    return read_turns(turns, *(("from", "value") if sharegpt else ("role", "content")), place, fields)


def _conversation(record: dict[str, Any], start: list[Message], key: str, place: str, fields: Fields) -> list[Message]:
    answer = record[key]
    if not isinstance(answer, (str, list, dict)):
        raise InputError(f"{place}: {key} is neither a text nor a list of messages")
    if isinstance(answer, str):
        answer = {"role": "assistant", "content": answer}
        number = f"message {len(start) + 1}"
        if not answer["content"].strip():
            raise InputError(f"{place}: {key}: {number}: 'content' is empty, and text is needed")
    turns = _turns(answer, f"{place}: {key}", fields)
    whole = turns if turns[: len(start)] == start and len(turns) > len(start) else [*start, *turns]
    whole = with_system(record, whole, place)
    check_turns(whole, f"{place}: {key}")
    return whole


def _same(value: Any, conversations: tuple[list[Message], ...], place: str) -> bool:
    try:
        return _turns(value, place, Fields()) in [[message for message in entry if message["role"] != "system"] for entry in conversations] + list(
            conversations
        )
    except InputError:
        return False
