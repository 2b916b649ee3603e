"""Continuations of many prompts at once: what a prompt shares with another is computed once, and a row that is free takes the next prompt.

Prompts are taken in the order of their ids, so that each begins as the one before it does (three shots, the same text with another question), and only the
rest goes through the model, in pieces beside the next tokens of all answers. Rows are refilled as they become free (continuous batching: Orca, OSDI 2022), so
that one long answer keeps no other waiting.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from jp_adapt.core.progress import Advance
from jp_adapt.inference.answer import Answer, Continuation, Continued, Decode
from jp_adapt.inference.attention_memory import AttentionMemory, Piece
from jp_adapt.inference.draw import next_token
from jp_adapt.inference.memory import Room
from jp_adapt.inference.processes import ALONE, Processes
from jp_adapt.inference.trie import common_prefix
from jp_adapt.model.causal import CausalModel

MAX_ROWS = 64  # prompts continued together
CACHE_BYTES = 1 << 30  # keys and values of all rows and of a prompt; fewer rows where they would need more
PREFILL_TOKENS = 512  # of prompts, in one forward pass


@dataclass
class Report:
    """What a run of `generate` did: tokens through the model, and how often memory ran out and half the rows (or half a pass) were given up."""

    prefilled_tokens: int = 0
    decoded_tokens: int = 0
    halvings: int = 0


def generate(
    model: CausalModel,
    requests: Sequence[Continuation],
    decode: Decode,
    *,
    stop_ids: Sequence[int],
    decode_marked: Decode | None = None,
    advance: Advance = lambda done, note: None,
    report: Report | None = None,
    processes: Processes = ALONE,
) -> list[Continued]:
    """The continuation of each request, token by token, in the order given: the most probable tokens, or those that its `draw` draws.

    `decode_marked` keeps special tokens in a text, which may mark a thought (by default `decode` does).

    Where memory runs out, half the rows are given up, their prompts wait for another turn, and what is finished is kept; with a single row left, prompts go
    through in shorter pieces. torch's error when nothing smaller is left. Each of `processes` takes a run of prompts that begin alike.
    """
    report = report or Report()
    results: dict[int, Continued] = {}
    order = sorted((at for at, request in enumerate(requests) if request.max_tokens > 0), key=lambda at: requests[at].ids, reverse=True)
    order = processes.share(order, [1] * len(order))
    capacity = max((len(request.ids) + request.max_tokens for request in requests), default=0)
    rows = Room(max(1, min(MAX_ROWS, len(order), CACHE_BYTES // max(1, capacity * _token_bytes(model)) - 1)))
    prefill = Room(PREFILL_TOKENS)
    done = sum(request.max_tokens <= 0 for request in requests)
    while waiting := [at for at in order if at not in results]:
        memory = AttentionMemory(rows.size, capacity, model.dtype, model.base_head.device)
        run = _Run(model, requests, (decode, decode_marked or decode), frozenset(stop_ids), report, results, memory, prefill.size)
        try:
            run.go(waiting, lambda count, note: advance(min(len(requests), done + count * processes.count), note))
        except (RuntimeError, MemoryError) as error:
            (rows if rows.size > 1 else prefill).halve(error)
    report.halvings += rows.halvings + prefill.halvings
    everywhere = {at: result for part in processes.gather(results) for at, result in part.items()}
    return [everywhere.get(at, Continued("", "length", 0)) for at in range(len(requests))]


def _token_bytes(model: CausalModel) -> int:
    """Bytes of one token's keys and values in all layers."""
    config = model.base.config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * size * model.base_head.element_size())


@dataclass
class _Row:
    """An answer that grows; its last token has not gone through the model yet."""

    request: int
    answer: Answer
    generator: random.Random | None

    @property
    def given(self) -> list[int]:
        return self.answer.given


class _Run:
    """Rows of one memory, from the first prompt to the last answer."""

    def __init__(
        self,
        model: CausalModel,
        requests: Sequence[Continuation],
        decoders: tuple[Decode, Decode],
        stop_ids: frozenset[int],
        report: Report,
        results: dict[int, Continued],
        memory: AttentionMemory,
        prefill_tokens: int,
    ) -> None:
        self.model, self.requests, self.decoders, self.stop_ids = model, requests, decoders, stop_ids
        self.report, self.results, self.memory, self.prefill_tokens = report, results, memory, prefill_tokens
        self.device = model.base_head.device
        self.active: list[_Row] = []
        self.begun: tuple[int, int] | None = None  # a prompt of which a part is read, and how many of its tokens
        self.last_ids: list[int] = []  # of the prompt that was begun last

    @torch.inference_mode()
    def go(self, waiting: list[int], advance: Advance) -> None:
        """Continue what is `waiting`, the last first, until nothing is left."""
        while waiting or self.begun or self.active:
            self._pass(self._pieces(waiting))
            advance(len(self.results), "")

    def _pieces(self, waiting: list[int]) -> list[tuple[int, Piece]]:
        """What the next pass reads of which prompts: as much as has room, and as many to their ends as there are free rows."""
        pieces: list[tuple[int, Piece]] = []
        room, row = self.prefill_tokens, len(self.active)
        while room and row < self.memory.rows and (self.begun or waiting):
            request, start = self.begun or self._begin(waiting.pop())
            length = len(self.requests[request].ids)
            end = min(length, start + room)
            whole = end == length
            pieces.append((request, Piece(start, end, row=row if whole else None)))
            self.begun = None if whole else (request, end)
            room, row = room - (end - start), row + whole
        return pieces

    def _begin(self, request: int) -> tuple[int, int]:
        """A prompt, and how much of it is in memory as the beginning of the one before."""
        ids = self.requests[request].ids
        shared = min(common_prefix(self.last_ids, ids), len(ids) - 1)
        self.last_ids = ids
        return request, shared

    def _pass(self, pieces: Sequence[tuple[int, Piece]]) -> None:
        """One more token for every row, and for those that a prompt comes to in `pieces`."""
        lengths = [self._length(row) for row in self.active]
        self.memory.plan(lengths, [piece for _, piece in pieces])
        ids, positions = [row.given[-1] for row in self.active], list(lengths)
        asked = list(range(len(ids)))
        for request, piece in pieces:
            ids += self.requests[request].ids[piece.start : piece.end]
            positions += range(piece.start, piece.end)
            if piece.row is not None:
                asked.append(len(ids) - 1)
        hidden = self.model(torch.tensor([ids], device=self.device), torch.tensor([positions], device=self.device), memory=self.memory)[0]
        self.report.prefilled_tokens += len(ids) - len(lengths)
        self.report.decoded_tokens += len(lengths)
        self.active += [self._row(request) for request, piece in pieces if piece.row is not None]
        if asked:
            self._give(self._next(self.model.logits(hidden[torch.tensor(asked, device=self.device)])))

    def _length(self, row: _Row) -> int:
        """Tokens of a row that are in memory."""
        return len(self.requests[row.request].ids) + len(row.given) - 1

    def _row(self, at: int) -> _Row:
        request = self.requests[at]
        return _Row(at, Answer(request, *self.decoders), None if request.draw is None else random.Random(request.draw.seed))

    def _next(self, logits: Tensor) -> list[int]:
        """The token that follows in each row, of its logits [rows, V]."""
        if all(row.generator is None for row in self.active):
            return list(logits.argmax(dim=1).tolist())
        return [next_token(own, self.requests[row.request].draw, row.generator) for row, own in zip(self.active, logits, strict=True)]

    def _give(self, tokens: Sequence[int]) -> None:
        """Add a token to each answer; the row of one that is complete is taken by the last row."""
        for at, token in reversed(list(enumerate(tokens))):
            row = self.active[at]
            done = row.answer.add(None if token in self.stop_ids else token)
            if done is None:
                continue
            self.results[row.request] = replace(done, ids=tuple(row.given))
            last = self.active.pop()
            if last is not row:
                self.memory.move(len(self.active), at, self._length(last))
                self.active[at] = last
