"""One prefix tree of all requests: what several of them begin with stands in it once, and is computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Request:
    """Score the ids from `first` on, given all before them. `first` >= 1: the first id of a text has nothing before it."""

    ids: list[int]
    first: int = 1


def cut_in_windows(request: Request, max_tokens: int) -> list[Request]:
    """A request in pieces of at most `max_tokens`, each after the first id of the whole; every scored id is in one of them."""
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


def sum_over_windows(requests: Sequence[Request], max_tokens: int, score: Callable[[list[Request]], Iterable[float]]) -> list[float]:
    """For each request the sum of what `score` gives for its windows (see `cut_in_windows`)."""
    owners, windows = [], []
    for owner, request in enumerate(requests):
        for window in cut_in_windows(request, max_tokens):
            owners.append(owner)
            windows.append(window)
    totals = [0.0] * len(requests)
    for owner, nats in zip(owners, score(windows), strict=True):
        totals[owner] += nats
    return totals


@dataclass(slots=True)
class Node:
    """A run of tokens that all requests below share.

    Attributes:
        depth: position of the first of `tokens` in its texts.
        marks: (place in `tokens`, request, target): after the token at that place, the request asks for the probability of `target`.
        size: tokens in this node and all below it.
    """

    depth: int
    tokens: list[int]
    children: list[Node] = field(default_factory=list)
    marks: list[tuple[int, int, int]] = field(default_factory=list)
    size: int = 0

    def split(self, place: int) -> None:
        """Move what comes from `place` on into a child."""
        late = [(at - place, request, target) for at, request, target in self.marks if at >= place]
        rest = Node(self.depth + place, self.tokens[place:], self.children, late)
        self.tokens, self.children = self.tokens[:place], [rest]
        self.marks = [mark for mark in self.marks if mark[0] < place]


def build_trie(requests: Sequence[Request]) -> list[Node]:
    """The roots of the tree over all ids but the last of each request, which nothing follows. A request that scores nothing is not in it."""
    roots: list[Node] = []
    path: list[Node] = []  # the nodes of the text before
    previous: list[int] = []
    inputs = [request.ids[:-1] for request in requests]
    for index in sorted((i for i, request in enumerate(requests) if request.first < len(request.ids)), key=inputs.__getitem__):
        ids = inputs[index]
        shared = common_prefix(previous, ids)
        while path and path[-1].depth >= shared:
            path.pop()
        if path and path[-1].depth + len(path[-1].tokens) > shared:
            path[-1].split(shared - path[-1].depth)
        if len(ids) > shared:
            node = Node(shared, ids[shared:])
            (path[-1].children if path else roots).append(node)
            path.append(node)
        _mark(path, index, requests[index])
        previous = ids
    for node in reversed(list(preorder(roots))):
        node.size = len(node.tokens) + sum(child.size for child in node.children)
    return roots


def common_prefix(left: Sequence[object], right: Sequence[object]) -> int:
    """Length of the common beginning, by bisection on slices, which Python compares faster than a loop does."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def preorder(nodes: Sequence[Node]) -> Iterator[Node]:
    """Every node, each before what is below it."""
    stack = list(reversed(nodes))
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(node.children))


def pack(nodes: Sequence[Node], room: int) -> list[list[Node]]:
    """Neighbours in groups of at most `room` tokens with all below them; a node larger than that stands alone."""
    groups: list[list[Node]] = []
    used = room
    for node in nodes:
        if used + node.size > room:
            groups.append([])
            used = 0
        groups[-1].append(node)
        used += node.size
    return groups


def _mark(path: list[Node], index: int, request: Request) -> None:
    position = len(request.ids) - 2
    for node in reversed(path):
        while position >= max(node.depth, request.first - 1):
            node.marks.append((position - node.depth, index, request.ids[position + 1]))
            position -= 1
        if position < request.first - 1:
            return
