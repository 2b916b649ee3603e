"""Preferences: a prompt with the answer that was chosen and the one that was rejected."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jp_adapt.core.errors import InputError
from jp_adapt.corpus.conversations import parse_messages, read_records
from jp_adapt.text.chat import Message


@dataclass(frozen=True)
class Preference:
    """The messages up to the answer, and the two answers."""

    prompt: list[Message]
    chosen: str
    rejected: str


def read_preferences(path: Path) -> list[Preference]:
    """All pairs of a .jsonl file (also .gz, .zst, .xz), one a line: `prompt`, `chosen` and `rejected`, each a text or a list of messages.

    Where `chosen` and `rejected` are whole conversations (as in Anthropic's HH data in messages), `prompt` may be missing: it is all but the last message.

    Raises:
        InputError: with file:line, for a line that is none of these, or whose two answers are the same.
    """
    found = [_preference(record, place) for place, record in read_records(path)]
    if not found:
        raise InputError(f"{path}: no preference")
    return found


def _preference(record: dict[str, Any], place: str) -> Preference:
    if missing := [key for key in ("chosen", "rejected") if key not in record]:
        raise InputError(f"{place}: no preference; a line has 'prompt', 'chosen' and 'rejected', and this one lacks '{missing[0]}'")
    prompt = record.get("prompt")
    start = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt or []
    chosen, rejected = (_conversation(start, record[key], f"{place}: {key}") for key in ("chosen", "rejected"))
    if chosen[:-1] != rejected[:-1]:
        raise InputError(f"{place}: 'chosen' and 'rejected' answer two different prompts")
    if chosen == rejected:
        raise InputError(f"{place}: 'chosen' and 'rejected' are the same answer; there is nothing to prefer")
    return Preference(chosen[:-1], chosen[-1]["content"], rejected[-1]["content"])


def _conversation(start: Any, answer: Any, place: str) -> list[Message]:
    if not isinstance(start, list):
        raise InputError(f"{place}: 'prompt' is neither a text nor a list of messages")
    turns = [{"role": "assistant", "content": answer}] if isinstance(answer, str) else answer
    if not isinstance(turns, list):
        raise InputError(f"{place} is neither a text nor a list of messages")
    whole = turns if turns[: len(start)] == start and len(turns) > len(start) else [*start, *turns]
    return parse_messages({"messages": whole}, place)
