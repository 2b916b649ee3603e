"""Log-likelihoods of many texts at once: what they share is computed once, and logits are made only where a probability is asked for.

The texts stand in a prefix tree (`trie`), which is gone through depth first. A subtree that fits is one forward pass of one row, in which each token sees the
shared prefix and its own ancestors (tree attention; the mask of SpecInfer 2305.09781). The node of a larger one is computed by itself and its keys and values
are kept in one buffer as long as the longest text, in which each branch overwrites the one before: memory does not grow with the number of texts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from jp_adapt.evaluation.trie import Node, Request, build_trie, pack, preorder
from jp_adapt.model.causal import CHUNK_LOGITS, CausalModel

PACK_TOKENS = 512  # in one forward pass; docs/log.md has what 256 to 2,048 gave


@dataclass(frozen=True)
class Scored:
    """ln p of a request's scored ids, in nats, and whether each of them was the most probable one."""

    log_likelihood: float
    is_greedy: bool


def log_likelihoods(
    model: CausalModel, requests: Sequence[Request], *, max_tokens: int, advance: Callable[[int, str], None] = lambda done, note: None
) -> list[float]:
    """ln p of the scored ids of each request, in nats, in the order given.

    A request longer than `max_tokens` is scored in windows, each starting afresh with its first id; every scored id is scored once.
    """
    owners, windows = [], []
    for owner, request in enumerate(requests):
        for window in _windows(request, max_tokens):
            owners.append(owner)
            windows.append(window)
    totals = [0.0] * len(requests)
    for owner, scored in zip(owners, score_requests(model, windows, advance=advance), strict=True):
        totals[owner] += scored.log_likelihood
    return totals


@torch.inference_mode()
def score_requests(model: CausalModel, requests: Sequence[Request], *, advance: Callable[[int, str], None] = lambda done, note: None) -> list[Scored]:
    """Score every request whole, in the order given. One that scores no id has 0 nats and is greedy."""
    run = _Run(model, requests, advance)
    roots = build_trie(requests)
    longest = max((len(request.ids) for request in requests), default=0)
    memory = PrefixMemory(longest + PACK_TOKENS)
    stack: list[tuple[list[Node], int]] = [(roots, 0)]
    while stack:
        nodes, length = stack.pop()
        if len(nodes) == 1 and nodes[0].size > PACK_TOKENS:
            _keep(run, memory, nodes[0], length)
            stack.append((nodes[0].children, length + len(nodes[0].tokens)))
            continue
        groups = pack(nodes, PACK_TOKENS)
        for group in groups:  # what fits first, while the prefix lies in memory
            if len(group) > 1 or group[0].size <= PACK_TOKENS:
                memory.length = length
                run.forward(memory, list(preorder(group)))
        stack += [(group, length) for group in groups if len(group) == 1 and group[0].size > PACK_TOKENS]
    return run.results()


class PrefixMemory:
    """Keys and values of one prefix, as transformers' attention layers ask for them: what they add is seen, and stays if `length` grows."""

    def __init__(self, capacity: int) -> None:
        self.capacity, self.length = capacity, 0
        self._layers: dict[int, tuple[Tensor, Tensor]] = {}

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return self.length

    def update(self, keys: Tensor, values: Tensor, layer_idx: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """keys, values [1, heads, T, D] of the new tokens -> [1, heads, length + T, D] of the prefix and the new tokens."""
        if layer_idx not in self._layers:
            self._layers[layer_idx] = (
                keys.new_empty(*keys.shape[:2], self.capacity, keys.shape[3]),
                values.new_empty(*values.shape[:2], self.capacity, values.shape[3]),
            )
        end = self.length + keys.shape[2]
        kept_keys, kept_values = self._layers[layer_idx]
        kept_keys[:, :, self.length : end], kept_values[:, :, self.length : end] = keys, values
        return kept_keys[:, :, :end], kept_values[:, :, :end]


def _room_for(states: Tensor, capacity: int) -> Tensor:
    batch, heads, _, size = states.shape
    return states.new_empty(batch, heads, capacity, size)


def _keep(run: _Run, memory: PrefixMemory, node: Node, length: int) -> None:
    """Compute a node alone, in pieces, and keep it as prefix."""
    for start in range(0, len(node.tokens), PACK_TOKENS):
        end = start + PACK_TOKENS
        marks = [(at - start, request, target) for at, request, target in node.marks if start <= at < end]
        memory.length = length + start
        run.forward(memory, [Node(node.depth + start, node.tokens[start:end], [], marks, len(node.tokens[start:end]))])


class _Run:
    """The results so far, and the forward pass that adds to them."""

    def __init__(self, model: CausalModel, requests: Sequence[Request], advance: Callable[[int, str], None]) -> None:
        self.model, self.advance = model, advance
        self.device = model.base_head.device
        self.nats = torch.zeros(len(requests), dtype=torch.float64)
        self.missed = torch.zeros(len(requests), dtype=torch.int64)
        self.left = [len(request.ids) - request.first for request in requests]
        self.done = sum(left <= 0 for left in self.left)

    def forward(self, memory: PrefixMemory, nodes: list[Node]) -> None:
        """One pass over `nodes`, which lie in preorder below the prefix in `memory`."""
        ids: list[int] = []
        positions: list[int] = []
        rows, owners, targets = [], [], []
        for node in nodes:
            for at, request, target in node.marks:
                rows.append(len(ids) + at)
                owners.append(request)
                targets.append(target)
            ids += node.tokens
            positions += range(node.depth, node.depth + len(node.tokens))
        mask = _tree_mask(nodes, memory.length, len(ids)).to(self.device)
        hidden = self.model(torch.tensor([ids], device=self.device), torch.tensor([positions], device=self.device), mask=mask, cache=memory)[0]
        if rows:
            self._score(hidden, rows, owners, targets)

    def _score(self, hidden: Tensor, rows: list[int], owners: list[int], targets: list[int]) -> None:
        asked, places = torch.tensor(rows).unique(return_inverse=True)  # choices part after one token: its logits are made once
        size = max(1, CHUNK_LOGITS // self.model.vocab_size)
        target, owner = torch.tensor(targets), torch.tensor(owners)
        for start in range(0, len(asked), size):
            logits = self.model.logits(hidden[asked[start : start + size].to(self.device)])
            here = (places >= start) & (places < start + size)
            row, wanted = (places[here] - start).to(self.device), target[here].to(self.device)
            values = (logits[row, wanted] - logits.logsumexp(dim=1)[row]).double().cpu()
            self.nats.index_add_(0, owner[here], values)
            self.missed.index_add_(0, owner[here], (logits.argmax(dim=1)[row] != wanted).long().cpu())
        for request in owners:
            self.left[request] -= 1
            self.done += self.left[request] == 0
        self.advance(self.done, "")

    def results(self) -> list[Scored]:
        return [Scored(nats, missed == 0) for nats, missed in zip(self.nats.tolist(), self.missed.tolist(), strict=True)]


def _tree_mask(nodes: list[Node], prefix: int, total: int) -> Tensor:
    """[1, 1, total, prefix + total], True where a token may look: at the prefix, at its ancestors, and in its own node at what comes before it."""
    mask = torch.zeros(total, prefix + total, dtype=torch.bool)
    mask[:, :prefix] = True
    start = 0
    for node in nodes:
        end = start + len(node.tokens)
        column = prefix + start
        mask[start:end, column : column + len(node.tokens)] = torch.ones(len(node.tokens), len(node.tokens), dtype=torch.bool).tril()
        mask[end : start + node.size, column : column + len(node.tokens)] = True
        start = end
    return mask[None, None]


def _windows(request: Request, max_tokens: int) -> list[Request]:
    if len(request.ids) <= max_tokens:
        return [request]
    prefix, body = request.ids[0], request.ids[1:]
    windows = []
    for start in range(0, len(body), max_tokens - 1):
        piece = body[start : start + max_tokens - 1]
        first = max(1, request.first - start)
        if first <= len(piece):
            windows.append(Request([prefix, *piece], first))
    return windows
