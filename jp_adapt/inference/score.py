"""Log-likelihoods of many texts at once: what they share is computed once, and logits are made only where a probability is asked for.

The texts stand in a prefix tree (`trie`), which is gone through depth first. A subtree that fits is one forward pass of one row, in which each token sees the
shared prefix and its own ancestors (tree attention; the mask of SpecInfer 2305.09781). The node of a larger one is computed by itself and its keys and values
are kept in one buffer as long as the longest text, in which each branch overwrites the one before: memory does not grow with the number of texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from jp_adapt.core.progress import Advance
from jp_adapt.inference.attention_memory import AttentionMemory, Piece
from jp_adapt.inference.memory import Room
from jp_adapt.inference.processes import ALONE, Processes
from jp_adapt.inference.trie import Node, Request, build_trie, pack, preorder, sum_over_windows
from jp_adapt.model.causal import CHUNK_LOGITS, CausalModel

PACK_TOKENS = 512  # in one forward pass; `python -m tests.perf eval_speed --pack=N` compares others, and no comparison has been completed
ATTEND_TOKENS = 64  # at most, of neighbours in a pass that attend together on a CPU: each sees none of the others, which its kernel would compute and mask


@dataclass(frozen=True)
class Scored:
    """ln p of a request's scored ids, in nats, and whether each of them was the most probable one."""

    log_likelihood: float
    is_greedy: bool


def log_likelihoods(
    model: CausalModel,
    requests: Sequence[Request],
    *,
    max_tokens: int,
    advance: Advance = lambda done, note: None,
    room: Room | None = None,
    processes: Processes = ALONE,
) -> list[float]:
    """ln p of the scored ids of each request, in nats, in the order given.

    A request longer than `max_tokens` is scored in windows, each starting afresh with its first id; every scored id is scored once.
    """

    def score(windows: list[Request]) -> list[float]:
        return [scored.log_likelihood for scored in score_requests(model, windows, advance=advance, room=room, processes=processes)]

    return sum_over_windows(requests, max_tokens, score)


def score_requests(
    model: CausalModel,
    requests: Sequence[Request],
    *,
    advance: Advance = lambda done, note: None,
    room: Room | None = None,
    processes: Processes = ALONE,
) -> list[Scored]:
    """Score every request whole, in the order given. One that scores no id has 0 nats and is greedy.

    Where memory runs out, `room` (of PACK_TOKENS tokens) is halved and the pass is done again in parts. The passes are divided among `processes` as they are,
    so that the results are the same to the last bit however many there are: the sums over passes are exact (float32 values of like size, in float64).
    """
    run = _Run(model, requests, advance, room or Room(PACK_TOKENS))
    run.go(build_trie(requests), processes)
    return run.results(processes)


@dataclass(frozen=True)
class TokenScore:
    """ln p of a token in its place, in nats, and the most probable tokens there with theirs, the most probable first."""

    nats: float
    top: tuple[tuple[int, float], ...]


def score_tokens(model: CausalModel, requests: Sequence[Request], *, top: int = 1, advance: Advance = lambda done, note: None) -> list[list[TokenScore]]:
    """Every scored id of each request, in the order given, beside the `top` most probable tokens in its place. Memory is handled as in `score_requests`."""
    tokens: list[dict[int, TokenScore]] = [{} for _ in requests]
    run = _Run(model, requests, advance, Room(PACK_TOKENS), tokens, top)
    run.go(build_trie(requests), ALONE)
    return [[own[place] for place in sorted(own)] for own in tokens]


@dataclass(frozen=True)
class _Job:
    """One forward pass: `nodes` and all below them, after the tokens of the nodes of `path`, which are kept in memory."""

    path: tuple[Node, ...]
    nodes: list[Node]

    @property
    def size(self) -> int:
        return sum(node.size for node in self.nodes)


def _plan(nodes: Sequence[Node], room: int, path: tuple[Node, ...] = ()) -> Iterator[_Job]:
    """The passes over `nodes` of at most `room` tokens each, depth first. A node larger than that, with all below it, becomes the path of others."""
    stack = [(nodes, path)]
    while stack:
        nodes, path = stack.pop()
        for group in pack([node for node in nodes if node.size <= room], room):  # what fits first, while the path lies in memory
            yield _Job(path, group)
        for node in nodes:
            if node.size > room and not node.children:
                yield _Job((*path, node), [])
            elif node.size > room:
                stack.append((node.children, (*path, node)))


class _Run:
    """The results so far, the prefix that lies in memory, and the forward passes that add to them."""

    def __init__(
        self,
        model: CausalModel,
        requests: Sequence[Request],
        advance: Advance,
        room: Room,
        tokens: list[dict[int, TokenScore]] | None = None,
        top: int = 0,
    ) -> None:
        self.model, self.advance, self.room = model, advance, room
        self.tokens, self.top = tokens, top  # where each token is asked for: by the request, and the place of the token in it
        self.device = model.base_head.device
        self.nats = torch.zeros(len(requests), dtype=torch.float64)
        self.missed = torch.zeros(len(requests), dtype=torch.int64)
        self.left = [len(request.ids) - request.first for request in requests]
        self.done = sum(left <= 0 for left in self.left)
        capacity = max((len(request.ids) for request in requests), default=0)
        self.memory, self.length = AttentionMemory(0, capacity + room.size, model.dtype, self.device), 0  # and the tokens that it holds
        self.held: list[Node] = []  # the nodes whose keys and values are in memory
        self.unscored: set[int] = set()  # of the nodes that will be held: those whose marks are still to be scored, here
        self.processes = 1

    @torch.inference_mode()
    def go(self, roots: list[Node], processes: Processes) -> None:
        """Every pass of this process's share."""
        jobs = list(_plan(roots, self.room.size))
        self.processes = processes.count
        seen: set[int] = set()
        kept = []  # of each job: the nodes that no job before it has in its path
        for job in jobs:
            kept.append([node for node in job.path if id(node) not in seen])
            seen.update(map(id, kept[-1]))
        costs = [job.size + sum(len(node.tokens) for node in nodes) for job, nodes in zip(jobs, kept, strict=True)]
        own = processes.share(list(zip(jobs, kept, strict=True)), costs)
        self.unscored = {id(node) for _, nodes in own for node in nodes}
        waiting = [job for job, _ in reversed(own)]
        while waiting:
            job = waiting.pop()
            self._hold(job.path)
            if job.size > self.room.size:  # planned while there was more room
                waiting += reversed(list(_plan(job.nodes, self.room.size, job.path)))
                self.unscored.update(map(id, preorder(job.nodes)))
            elif job.nodes:
                try:
                    self._forward(job.nodes, scored=True)
                except (RuntimeError, MemoryError) as error:
                    self.room.halve(error)
                    waiting.append(job)

    def _hold(self, path: tuple[Node, ...]) -> None:
        """Have the keys and values of `path` in memory, and nothing after them."""
        shared = next((at for at, (held, wanted) in enumerate(zip(self.held, path, strict=False)) if held is not wanted), min(len(self.held), len(path)))
        del self.held[shared:]
        self.length = sum(len(node.tokens) for node in self.held)
        for node in path[shared:]:
            self._keep(node)
            self.held.append(node)

    def _keep(self, node: Node) -> None:
        """Compute a node alone, in pieces that fit."""
        scored, start = id(node) in self.unscored, 0
        while start < len(node.tokens):
            end = start + self.room.size
            marks = [(at - start, request, target) for at, request, target in node.marks if start <= at < end]
            tokens = node.tokens[start:end]
            try:
                self._forward([Node(node.depth + start, tokens, [], marks, len(tokens))], scored=scored)
            except (RuntimeError, MemoryError) as error:
                self.room.halve(error)
            else:
                start += len(tokens)
                self.length += len(tokens)
        self.unscored.discard(id(node))

    def _forward(self, roots: list[Node], *, scored: bool) -> None:
        """One pass over `roots` and all below them, behind the prefix in memory. It counts as a whole or not at all."""
        ids: list[int] = []
        positions: list[int] = []
        rows, owners, targets, places = [], [], [], []
        for node in preorder(roots):
            for at, request, target in node.marks if scored else ():
                rows.append(len(ids) + at)
                owners.append(request)
                targets.append(target)
                places.append(node.depth + at + 1)
            ids += node.tokens
            positions += range(node.depth, node.depth + len(node.tokens))
        attended = pack(roots, ATTEND_TOKENS if self.device.type == "cpu" else len(ids))
        self.memory.plan([], [self._piece(group) for group in attended])
        hidden = self.model(torch.tensor([ids], device=self.device), torch.tensor([positions], device=self.device), memory=self.memory)[0]
        if rows:
            self._score(hidden, rows, owners, targets, places)

    def _piece(self, roots: list[Node]) -> Piece:
        """Nodes behind the prefix, and all below them."""
        size = sum(node.size for node in roots)
        return Piece(self.length, self.length + size, _tree_mask(list(preorder(roots)), self.length, size).to(self.device))

    def _score(self, hidden: Tensor, rows: list[int], owners: list[int], targets: list[int], places: list[int]) -> None:
        asked, which = torch.tensor(rows).unique(return_inverse=True)  # choices part after one token: its logits are made once
        size = max(1, CHUNK_LOGITS // self.model.vocab_size)
        target, owner, place = torch.tensor(targets), torch.tensor(owners), torch.tensor(places)
        results = []
        for start in range(0, len(asked), size):
            logits = self.model.logits(hidden[asked[start : start + size].to(self.device)])
            here = (which >= start) & (which < start + size)
            row, wanted = (which[here] - start).to(self.device), target[here].to(self.device)
            total = logits.logsumexp(dim=1)
            values = (logits[row, wanted] - total[row]).double().cpu()
            results.append((owner[here], values, (logits.argmax(dim=1)[row] != wanted).long().cpu()))
            if self.tokens is not None:
                likely = logits.topk(min(self.top, logits.shape[1]), dim=1)
                tops = [tuple(zip(*pair, strict=True)) for pair in zip(likely.indices.tolist(), (likely.values - total[:, None]).tolist(), strict=True)]
                for own, at, own_row, nats in zip(owner[here].tolist(), place[here].tolist(), row.tolist(), values.tolist(), strict=True):
                    self.tokens[own][at] = TokenScore(nats, tops[own_row])
        for owned, values, missed in results:
            self.nats.index_add_(0, owned, values)
            self.missed.index_add_(0, owned, missed)
        for request in owners:
            self.left[request] -= 1
            self.done += self.left[request] == 0
        self.advance(min(len(self.left), self.done * self.processes), "")

    def results(self, processes: Processes) -> list[Scored]:
        """The sums of all processes."""
        parts = processes.gather((self.nats.tolist(), self.missed.tolist()))
        nats, missed = ([sum(values) for values in zip(*(part[which] for part in parts), strict=True)] for which in (0, 1))
        return [Scored(nat, miss == 0) for nat, miss in zip(nats, missed, strict=True)]


def _tree_mask(nodes: list[Node], prefix: int, total: int) -> Tensor:
    """[total, prefix + total], True where a token may look: at the prefix, at its ancestors, and in its own node at what comes before it."""
    mask = torch.zeros(total, prefix + total, dtype=torch.bool)
    mask[:, :prefix] = True
    start = 0
    for node in nodes:
        end = start + len(node.tokens)
        column = prefix + start
        mask[start:end, column : column + len(node.tokens)] = torch.ones(len(node.tokens), len(node.tokens), dtype=torch.bool).tril()
        mask[end : start + node.size, column : column + len(node.tokens)] = True
        start = end
    return mask
