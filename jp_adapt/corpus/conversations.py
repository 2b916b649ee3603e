"""Conversations: read them, turn them into ids with an exact mask, and pack them side by side so that none sees its neighbour."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from jp_adapt.core.errors import InputError
from jp_adapt.corpus.chat_records import read_row
from jp_adapt.corpus.json_lines import iter_records
from jp_adapt.corpus.lines import kind_of, refuse
from jp_adapt.corpus.pack import IGNORED, Batch, pack_best_fit
from jp_adapt.corpus.record_fields import Fields
from jp_adapt.text.chat import ChatError, Message, Render, Segment, segments, special_pattern

TooLong = Literal["error", "drop", "cut"]


@dataclass(frozen=True)
class Conversation:
    """Messages (system or none, then user and assistant in turn), the file and line where they stand, and the tools that the assistant may call."""

    messages: list[Message]
    place: str
    tools: list[dict[str, Any]] | None = None

    @property
    def is_trained(self) -> bool:
        """Whether an answer of it has a weight other than 0."""
        return any(message["role"] == "assistant" and message.get("weight", 1) != 0 for message in self.messages)


@dataclass(frozen=True)
class Sample:
    """A conversation as the model reads it: ids [T + 1], and the targets [T] of its first T positions, `IGNORED` where no loss lies."""

    ids: list[int]
    targets: list[int]
    chars: int = field(default=0, compare=False)  # of the answers that carry loss

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def num_targets(self) -> int:
        return sum(target != IGNORED for target in self.targets)


def read_conversations(path: Path, fields: Fields | None = None) -> list[Conversation]:
    """All conversations of a .jsonl file (also .gz, .zst), one a line: messages, ShareGPT's `conversations`, or Alpaca's fields.

    Args:
        fields: what else may stand in a record; it counts what was met.

    Raises:
        InputError: with file:line, for a line that is none of these, an empty message, an unknown role, roles out of turn, or a field that is neither used
            nor a note.
    """
    fields = fields or Fields()
    results = []
    for place, record in read_records(path):
        messages, tools = read_row(record, place, fields)
        results.append(Conversation(messages, place, tools))
    if not results:
        raise InputError(f"{path}: no conversation")
    return results


def read_records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    if kind_of(path) != ".jsonl":
        raise InputError(f"{path}: conversations are read from .jsonl files (also as .gz, .zst or .xz); convert this file")
    return iter_records(path, refuse)


class ConversationEncoder:
    """Conversations -> samples. The text of a message is encoded apart from the template's special tokens, so that no user can write one."""

    def __init__(self, encode: Callable[[str], list[int]], special_ids: Mapping[str, int], render: Render, *, takes_input: bool) -> None:
        """
        Args:
            encode: ids of a text in which special tokens are plain text.
            special_ids: text -> id of the special tokens.
            takes_input: whether the template has a place for Alpaca's `input`; elsewhere it follows the instruction after an empty line.
        """
        self._encode, self._special_ids, self._render, self._takes_input = encode, special_ids, render, takes_input
        self._special = special_pattern(tuple(special_ids))
        # Llama-2's tokenizer puts a space before a text; after "\n", which joins no other token there, it does not.
        self._newline = encode("\n")
        self._dummy_prefix = encode("a") != encode("\na")[len(self._newline) :]

    def sample(self, conversation: Conversation) -> Sample:
        """InputError, with file:line, when the template cannot take the conversation or no token of it carries loss."""
        parts = self.segments(conversation)
        ids, trained = self._ids(parts)
        chars = sum(len(part.text) for part in parts if part.trained and not part.from_template)
        sample = Sample(ids, [token if counts else IGNORED for token, counts in zip(ids[1:], trained[1:], strict=True)], chars)
        if set(sample.targets) <= {IGNORED, *self._special_ids.values()}:
            raise InputError(f"{conversation.place}: no token of an answer is left to learn; the tokenizer drops its characters")
        return sample

    def segments(self, conversation: Conversation) -> list[Segment]:
        """The rendered conversation in pieces. InputError, with file:line, when the template cannot take it."""
        messages = conversation.messages if self._takes_input else [_joined(message) for message in conversation.messages]
        try:
            self._refuse_special(conversation)
            render = self._render if conversation.tools is None else partial(self._render, tools=conversation.tools)
            if conversation.tools is not None and render(messages, False) == self._render(messages, False):
                raise ChatError("it does not show 'tools'")
            return segments(messages, render, self._special_ids)
        except ChatError as error:
            raise InputError(f"{conversation.place}: the chat template cannot be trained with here: {error}; choose another 'template'") from error

    def _refuse_special(self, conversation: Conversation) -> None:
        """ChatError where tools or calls hold a special token: the template writes them among its own text, and there it would be one."""
        data = [conversation.tools or [], [message.get("tool_calls", []) for message in conversation.messages]]
        results = self._special.search(json.dumps(data, ensure_ascii=False)) if any(map(any, data)) else None
        if results is not None:
            raise ChatError(f"its tools or calls hold the special token {results[0]}, which would be one; take it out")

    @property
    def end_id(self) -> int:
        """Id of the token that ends an answer."""
        probe = self.sample(Conversation([{"role": "user", "content": "問い"}, {"role": "assistant", "content": "答え"}], "chat template"))
        return [target for target in probe.targets if target != IGNORED][-1]

    def _ids(self, parts: Sequence[Segment]) -> tuple[list[int], list[bool]]:
        ids: list[int] = []
        trained: list[bool] = []
        after_special = True
        for piece, special, counts in _pieces(parts, self._special):
            new = [self._special_ids[piece]] if special else self._encode(piece) if after_special else self._continue(piece)
            ids += new
            trained += [counts] * len(new)
            after_special = special
        return ids, trained

    def _continue(self, text: str) -> list[int]:
        """Ids of a text that continues after other text."""
        return self._encode("\n" + text)[len(self._newline) :] if self._dummy_prefix else self._encode(text)


def _joined(message: Message) -> Message:
    if "input" not in message:
        return message
    text = f"{message['content'].strip()}\n\n{message['input'].strip()}"
    return {name: value for name, value in message.items() if name != "input"} | {"content": text}


def _pieces(parts: Sequence[Segment], special: re.Pattern[str]) -> Iterator[tuple[str, bool, bool]]:
    """(text, whether it is a special token, whether it carries loss); plain text that stands together is one piece, cut only where loss begins or ends."""
    text, counts = "", False
    for part in parts:
        places = [match.span() for match in special.finditer(part.text)] if part.from_template else []
        for start, end in [*places, (len(part.text), len(part.text))]:
            begin = max((stop for _, stop in places if stop <= start), default=0)
            if text and part.trained != counts:
                yield text, False, counts
                text = ""
            text, counts = text + part.text[begin:start], part.trained
            if start < end:
                if text:
                    yield text, False, counts
                    text = ""
                yield part.text[start:end], True, part.trained
    if text:
        yield text, False, counts


@dataclass(frozen=True)
class ConversationPlan:
    """Rows of samples in order, `rows_per_step` to a step; what the loop trains on."""

    rows: list[list[Sample]]
    length: int
    rows_per_step: int
    tokens_by_source: dict[str, int]
    notes: dict[str, dict[str, int]] = field(default_factory=dict)  # source -> field that is not used -> records that hold it

    @property
    def num_steps(self) -> int:
        return -(-len(self.rows) // self.rows_per_step)

    @property
    def fill(self) -> float:
        """Share of the positions that hold a conversation."""
        return sum(len(sample) for row in self.rows for sample in row) / (len(self.rows) * self.length)

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
        """The rows of `step` (from 0) that `rank` works on. `num_targets` counts the whole step, over all ranks."""
        rows = self.rows[step * self.rows_per_step : (step + 1) * self.rows_per_step]
        own = [_pad(row, self.length) for row in rows[rank::world_size]]
        ids, positions, targets = ([row[part] for row in own] for part in range(3))
        return Batch(ids, positions, targets, sum(sample.num_targets for row in rows for sample in row))


def _pad(row: Sequence[Sample], length: int) -> tuple[list[int], list[int], list[int]]:
    ids = [token for sample in row for token in sample.ids[:-1]]
    positions = [place for sample in row for place in range(len(sample))]
    targets = [target for sample in row for target in sample.targets]
    padding = length - len(ids)
    return ids + [0] * padding, positions + list(range(padding)), targets + [IGNORED] * padding


def plan_conversations(
    sources: Mapping[str, tuple[Sequence[Sample], float]], *, length: int, rows_per_step: int, seed: int, tokens: int | None = None, epochs: float | None = None
) -> ConversationPlan:
    """Shuffle and pack conversations, epoch after epoch, until the budget is met.

    Args:
        sources: name -> (samples of at most `length` positions, how often an epoch reads each: 1 once, 0.5 half of them, 2 twice).
        tokens: positions in all, over as many epochs as it takes; or `epochs`, the last of which may be a part.

    Every epoch is packed on its own: a conversation stands in it as often as its source's weight says.
    """
    assert (tokens is None) != (epochs is None), "give tokens or epochs"
    rows: list[list[Sample]] = []
    by_source = dict.fromkeys(sources, 0)
    epoch, left = 0, float("inf") if tokens is None else tokens
    while left > 0 and (epochs is None or epoch < epochs):
        part = 1.0 if epochs is None else min(1.0, epochs - epoch)
        chosen: list[Sample] = []
        for name, (samples, weight) in sources.items():
            for sample in _draw(samples, max(1, round(len(samples) * weight * part)), f"{seed}/{name}/{epoch}"):
                if left <= 0:
                    break
                chosen.append(sample)
                by_source[name] += len(sample)
                left -= len(sample)
        packing = pack_best_fit([len(sample) for sample in chosen], length)
        packed = [[chosen[index] for index in packing.document[start:end]] for start, end in pairwise(packing.row_starts)]
        random.Random(f"{seed}/rows/{epoch}").shuffle(packed)
        rows += packed
        epoch += 1
    return ConversationPlan(rows, length, rows_per_step, by_source)


def _draw(samples: Sequence[Sample], number: int, seed: str) -> list[Sample]:
    drawn: list[Sample] = []
    while len(drawn) < number:
        order = list(samples)
        random.Random(f"{seed}/{len(drawn)}").shuffle(order)
        drawn += order[: number - len(drawn)]
    return drawn


def fit_length(samples: Sequence[tuple[Sample, str]], length: int, too_long: TooLong) -> tuple[list[Sample], int]:
    """Samples (with their places) of at most `length` positions, and how many were too long. "cut" keeps the beginning, if an answer begins in it.

    InputError for "error", with file:line.
    """
    fitting: list[Sample] = []
    changed = 0
    for sample, place in samples:
        if len(sample) > length:
            if too_long == "error":
                raise InputError(f"{place}: {len(sample)} tokens, and a row has {length}; raise sequence_tokens, or say too_long: cut, or too_long: drop")
            changed += 1
            cut = Sample(sample.ids[: length + 1], sample.targets[:length])
            sample = replace(cut, chars=round(sample.chars * cut.num_targets / sample.num_targets))
            if too_long == "drop" or not sample.num_targets:
                continue
        fitting.append(sample)
    return fitting, changed
