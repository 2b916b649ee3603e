"""Continuations of many prompts at once: what a prompt shares with another is computed once, and a row that is free takes the next prompt.

Prompts are taken in the order of their ids, so that each begins as the one before it does (three shots, the same text with another question): its keys and
values are copied from the row that the one before stands in, and only the rest goes through the model. All rows then continue together, one token a step.
Rows are refilled as they become free (continuous batching: Orca, OSDI 2022), so that one long answer keeps no other waiting.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from jp_adapt.core.progress import Advance
from jp_adapt.inference.answer import Answer, Continuation, Continued, Decode
from jp_adapt.inference.draw import next_token
from jp_adapt.inference.memory import Room
from jp_adapt.inference.processes import ALONE, Processes
from jp_adapt.inference.trie import common_prefix
from jp_adapt.model.causal import CausalModel

MAX_ROWS = 32  # prompts continued together
CACHE_BYTES = 1 << 30  # keys and values of all rows; fewer rows where they would need more
PREFILL_TOKENS = 512  # of a prompt, in one forward pass


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
    waiting = sorted((at for at, request in enumerate(requests) if request.max_tokens > 0), key=lambda at: requests[at].ids, reverse=True)
    waiting = processes.share(waiting, [1] * len(waiting))
    capacity = max((len(request.ids) + request.max_tokens for request in requests), default=0)
    rows = Room(max(1, min(MAX_ROWS, len(waiting), CACHE_BYTES // max(1, capacity * _token_bytes(model)))))
    prefill = Room(PREFILL_TOKENS)
    done = sum(request.max_tokens <= 0 for request in requests)
    while waiting:
        run = _Run(model, requests, (decode, decode_marked or decode), frozenset(stop_ids), report, results, _RowCache(rows.size, capacity), prefill.size)
        try:
            run.go(waiting, lambda count, note: advance(min(len(requests), done + count * processes.count), note))
        except (RuntimeError, MemoryError) as error:
            (rows if rows.size > 1 else prefill).halve(error)
            waiting += sorted((row.request for row in run.active.values()), key=lambda at: requests[at].ids, reverse=True)
    report.halvings += rows.halvings + prefill.halvings
    everywhere = {at: result for part in processes.gather(results) for at, result in part.items()}
    return [everywhere.get(at, Continued("", "length", 0)) for at in range(len(requests))]


def _token_bytes(model: CausalModel) -> int:
    """Bytes of one token's keys and values in all layers."""
    config = model.base.config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * size * model.base_head.element_size())


class _RowCache:
    """Keys and values [rows, heads, capacity, D] of each layer, as transformers' attention layers ask for them.

    `place` says where a forward pass writes: one row from a position on (its prompt), or one position in each of several rows.
    """

    def __init__(self, rows: int, capacity: int) -> None:
        self.rows, self.capacity = rows, capacity
        self.row: int | None = None
        self.positions = torch.zeros(0, dtype=torch.long)
        self.seen = 0
        self._layers: dict[int, tuple[Tensor, Tensor]] = {}

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return 0

    def place(self, row: int | None, positions: Tensor, seen: int) -> None:
        """The next pass writes at `positions`, of `row` or (None) one for each of the first rows, and sees `seen` positions."""
        self.row, self.positions, self.seen = row, positions, seen

    def update(self, keys: Tensor, values: Tensor, layer_idx: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        if layer_idx not in self._layers:
            shape = (self.rows, keys.shape[1], self.capacity, keys.shape[3])
            self._layers[layer_idx] = keys.new_zeros(shape), values.new_zeros(shape)  # zeros: a masked NaN would still be a NaN
        kept = self._layers[layer_idx]
        for memory, new in zip(kept, (keys, values), strict=True):
            if self.row is None:
                memory[torch.arange(len(self.positions), device=new.device), :, self.positions] = new[:, :, 0]
            else:
                memory[self.row, :, self.seen - new.shape[2] : self.seen] = new[0]
        taken = slice(0, len(self.positions)) if self.row is None else slice(self.row, self.row + 1)
        return kept[0][taken, :, : self.seen], kept[1][taken, :, : self.seen]

    def copy(self, source: int, target: int, length: int) -> None:
        """The first `length` positions of a row, to another."""
        if source != target:
            for memory in (memory for layer in self._layers.values() for memory in layer):
                memory[target, :, :length] = memory[source, :, :length]


@dataclass
class _Row:
    """A prompt that is being continued; the last token of its answer has not gone through the model yet."""

    request: int
    answer: Answer
    generator: random.Random | None

    @property
    def given(self) -> list[int]:
        return self.answer.given


class _Run:
    """Rows of one cache, from the first prompt to the last answer."""

    def __init__(
        self,
        model: CausalModel,
        requests: Sequence[Continuation],
        decoders: tuple[Decode, Decode],
        stop_ids: frozenset[int],
        report: Report,
        results: dict[int, Continued],
        cache: _RowCache,
        prefill_tokens: int,
    ) -> None:
        self.model, self.requests, self.decoders, self.stop_ids = model, requests, decoders, stop_ids
        self.report, self.results, self.cache, self.prefill_tokens = report, results, cache, prefill_tokens
        self.device = model.base_head.device
        self.active: dict[int, _Row] = {}
        self.last_row, self.last_ids = 0, list[int]()

    @torch.inference_mode()
    def go(self, waiting: list[int], advance: Advance) -> None:
        """Continue what is `waiting`, the last first, until nothing is left."""
        while waiting or self.active:
            for row in range(self.cache.rows):
                while waiting and row not in self.active:
                    self.active[row] = self._row(waiting.pop())
                    self._give(row, self._prefill(row))
            self._move_up()
            if self.active:
                self._step()
            advance(len(self.results), "")

    def _row(self, at: int) -> _Row:
        request = self.requests[at]
        return _Row(at, Answer(request, *self.decoders), None if request.draw is None else random.Random(request.draw.seed))

    def _next(self, row: int, logits: Tensor) -> int:
        """The token that follows in a row, of its logits [V]."""
        state = self.active[row]
        return next_token(logits, self.requests[state.request].draw, state.generator)

    def _prefill(self, row: int) -> int:
        """Put a prompt into `row`, and return the token that follows it."""
        ids = self.requests[self.active[row].request].ids
        shared = min(common_prefix(self.last_ids, ids), len(ids) - 1)
        self.cache.copy(self.last_row, row, shared)
        self.last_row, self.last_ids = row, []  # no prefix to copy, should the next lines fail
        for start in range(shared, len(ids), self.prefill_tokens):
            end = min(len(ids), start + self.prefill_tokens)
            positions = torch.arange(start, end, device=self.device)
            mask = torch.arange(end, device=self.device)[None, :] <= positions[:, None]
            self.cache.place(row, positions, end)
            hidden = self.model(torch.tensor([ids[start:end]], device=self.device), positions[None], mask=mask[None, None], cache=self.cache)
        self.last_ids = ids
        self.report.prefilled_tokens += len(ids) - shared
        return self._next(row, self.model.logits(hidden[0, -1:])[0])

    def _step(self) -> None:
        """One more token for every row."""
        rows = sorted(self.active)
        lengths = [len(self.requests[self.active[row].request].ids) + len(self.active[row].given) - 1 for row in rows]
        positions = torch.tensor(lengths, device=self.device)
        seen = max(lengths) + 1
        mask = torch.arange(seen, device=self.device)[None, :] <= positions[:, None]
        self.cache.place(None, positions, seen)
        ids = torch.tensor([[self.active[row].given[-1]] for row in rows], device=self.device)
        hidden = self.model(ids, positions[:, None], mask=mask[:, None, None], cache=self.cache)
        logits = self.model.logits(hidden[:, 0])
        greedy = all(self.active[row].generator is None for row in rows)
        tokens = logits.argmax(dim=1).tolist() if greedy else [self._next(row, own) for row, own in zip(rows, logits, strict=True)]
        self.report.decoded_tokens += len(rows)
        for row, token in zip(rows, tokens, strict=True):
            self._give(row, token)

    def _give(self, row: int, token: int) -> None:
        """Add a token to a row's answer; the row is free when the answer is complete."""
        state = self.active[row]
        done = state.answer.add(None if token in self.stop_ids else token)
        if done is not None:
            self.results[state.request] = replace(done, ids=tuple(state.given))
            del self.active[row]

    def _move_up(self) -> None:
        """Close the gaps when nothing is left to fill them, since a step goes over the first rows without one."""
        for target in range(len(self.active)):
            if target not in self.active:
                source = max(self.active)
                state = self.active.pop(source)
                self.cache.copy(source, target, len(self.requests[state.request].ids) + len(state.given) - 1)
                self.active[target] = state
