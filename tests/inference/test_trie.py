"""The prefix tree holds every text once, and what is scored in it is what each text scores by itself."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jp_adapt.inference import score
from jp_adapt.inference.memory import Room
from jp_adapt.inference.processes import Processes
from jp_adapt.inference.score import score_requests
from jp_adapt.inference.trie import Request, build_trie, common_prefix, pack, preorder
from jp_adapt.model.causal import CausalModel, load_causal
from tests.processes import FORKS

FEW = st.lists(st.integers(1, 3), min_size=1, max_size=12)


@st.composite
def some_requests(draw: st.DrawFn) -> list[Request]:
    texts = draw(st.lists(FEW, max_size=12))
    return [Request(ids, draw(st.integers(1, len(ids)))) for ids in texts]


def paths(nodes, before=()):
    """Every (whole text up to a mark, request, target) of the tree."""
    for node in nodes:
        assert node.depth == len(before)
        assert node.tokens
        assert node.size == sum(len(below.tokens) for below in preorder([node]))
        for at, request, target in node.marks:
            yield (*before, *node.tokens[: at + 1]), request, target
        assert len({child.tokens[0] for child in node.children}) == len(node.children), "children that begin alike are one"
        yield from paths(node.children, (*before, *node.tokens))


@given(requests=some_requests())
def test_the_tree_asks_for_every_scored_id_once_after_all_that_stands_before_it(requests):
    asked = sorted(paths(build_trie(requests)))
    expected = [(tuple(r.ids[:p]), i, r.ids[p]) for i, r in enumerate(requests) for p in range(r.first, len(r.ids))]
    assert asked == sorted(expected)


@given(requests=some_requests())
def test_no_prefix_stands_in_the_tree_twice(requests):
    prefixes = {tuple(r.ids[:end]) for r in requests if r.first < len(r.ids) for end in range(1, len(r.ids))}
    assert sum(node.size for node in build_trie(requests)) == len(prefixes)


@given(left=FEW, right=FEW)
def test_common_prefix(left, right):
    shared = common_prefix(left, right)
    assert left[:shared] == right[:shared]
    assert shared == min(len(left), len(right)) or left[shared] != right[shared]


@given(requests=some_requests(), room=st.integers(1, 20))
def test_packs_keep_order_and_room(requests, room):
    roots = build_trie(requests)
    groups = pack(roots, room)
    assert [node for group in groups for node in group] == roots
    assert all(len(group) == 1 or sum(node.size for node in group) <= room for group in groups)


@pytest.fixture(scope="module")
def model(pico):
    return load_causal(pico, torch.float32)


def by_itself(model, request: Request) -> tuple[float, bool]:
    with torch.inference_mode():
        logits = model.logits(model(torch.tensor([request.ids]))[0]).double()
    results = [(logits[p - 1].log_softmax(-1)[request.ids[p]], logits[p - 1].argmax() == request.ids[p]) for p in range(request.first, len(request.ids))]
    return float(sum(value for value, _ in results)), all(bool(best) for _, best in results)


@pytest.mark.parametrize("room", [1, 3, 8, 512])
def test_scores_are_those_of_each_text_alone(model, monkeypatch, room):
    monkeypatch.setattr(score, "PACK_TOKENS", room)

    @settings(max_examples=25, deadline=None)
    @given(requests=some_requests())
    def check(requests):
        done = []
        scored = score_requests(model, requests, advance=lambda count, note: done.append(count))
        for request, result in zip(requests, scored, strict=True):
            nats, greedy = by_itself(model, request)
            assert result.log_likelihood == pytest.approx(nats, abs=1e-4)
            assert result.is_greedy == greedy
        assert not done or done[-1] == len(requests)

    check()


def test_shared_prefixes_are_computed_once(model, monkeypatch):
    """Three shots, twenty questions, five choices: as many tokens go through the model as the tree has."""
    monkeypatch.setattr(score, "PACK_TOKENS", 64)
    shots = [7, 8, 9] * 50
    requests = [Request([*shots, question, question + 1, 5, choice, 6], first=153) for question in range(10, 30) for choice in range(40, 45)]
    passed = []
    forward = type(model).forward
    monkeypatch.setattr(type(model), "forward", lambda self, ids, *rest, **named: passed.append(ids.numel()) or forward(self, ids, *rest, **named))
    scored = score_requests(model, requests)
    assert sum(passed) == 150 + 20 * 3 + 20 * 5
    assert max(passed) <= 64
    monkeypatch.undo()
    for request, result in list(zip(requests, scored, strict=True))[::17]:
        assert result.log_likelihood == pytest.approx(by_itself(model, request)[0], abs=1e-4)


def test_a_request_without_a_scored_id_costs_nothing(model):
    (nothing,) = score_requests(model, [Request([1, 2, 3], first=3)])
    assert (nothing.log_likelihood, nothing.is_greedy) == (0.0, True)


FAMILY = [Request([*[7, 8, 9] * 50, question, question + 1, 5, choice, 6], first=140) for question in range(10, 30) for choice in range(40, 45)]
MIXED = [*FAMILY, *(Request([*range(1, length)], first=1) for length in (3, 90, 200, 400)), Request([1, 2], first=2)]


@pytest.mark.parametrize("count", [2, 3, 7])
def test_several_processes_give_the_same_to_the_last_bit(model, monkeypatch, count):
    monkeypatch.setattr(score, "PACK_TOKENS", 48)
    alone = score_requests(model, MIXED)
    parts = []
    for rank in range(count):
        score_requests(model, MIXED, processes=Processes(rank, count, lambda part: parts.append(part) or [part]))
    assert sum(any(nats) for nats, _ in parts) >= min(count, 3), "they share the work"
    assert score_requests(model, [], processes=Processes()) == []
    merged = score_requests(model, MIXED, processes=Processes(0, count, lambda own: parts))
    assert merged == alone


@settings(max_examples=50)
@given(costs=st.lists(st.integers(0, 9), max_size=30), count=st.integers(1, 5))
def test_shares_are_neighbours_and_nothing_is_done_twice(costs, count):
    shares = [Processes(rank, count).share(range(len(costs)), costs) for rank in range(count)]
    assert [entry for share in shares for entry in share] == list(range(len(costs)))


def fails_above(monkeypatch, tokens: int, error: Exception) -> list[int]:
    """Make passes of more than `tokens` tokens fail after the body ran, as real ones do; what was tried comes back."""
    tried: list[int] = []
    forward = CausalModel.forward

    def fails(self, ids, *rest, **named):
        tried.append(ids.shape[1])
        hidden = forward(self, ids, *rest, **named)
        if ids.shape[1] > tokens:
            raise error
        return hidden

    monkeypatch.setattr(CausalModel, "forward", fails)
    return tried


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("[enforce] DefaultCPUAllocator: can't allocate memory")])
def test_memory_that_runs_out_halves_the_pass_and_loses_nothing(model, monkeypatch, error):
    expected = score_requests(model, MIXED)
    room = Room(512)
    tried = fails_above(monkeypatch, 70, error)
    got = score_requests(model, MIXED, room=room)
    assert (room.size, room.halvings) == (64, 3)
    assert sum(size > 70 for size in tried) == 3, "a pass that was planned larger is not tried again in vain"
    for entry, other in zip(got, expected, strict=True):
        assert entry.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-4)
        assert entry.is_greedy == other.is_greedy


def test_logits_that_do_not_fit_count_once(model, monkeypatch):
    """Memory runs out after some of a pass's probabilities are known: they are not added twice."""
    expected = score_requests(model, MIXED)
    monkeypatch.setattr(score, "CHUNK_LOGITS", 500 * 8)
    logits, calls = CausalModel.logits, []

    def fails(self, hidden):
        calls.append(len(hidden))
        if len(calls) == 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return logits(self, hidden)

    monkeypatch.setattr(CausalModel, "logits", fails)
    room = Room(512)
    got = score_requests(model, MIXED, room=room)
    assert room.halvings == 1
    assert [entry.log_likelihood for entry in got] == pytest.approx([entry.log_likelihood for entry in expected], abs=1e-4)


def test_memory_that_runs_out_for_one_token_is_an_error(model, monkeypatch):
    fails_above(monkeypatch, 0, torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(torch.OutOfMemoryError):
        score_requests(model, FAMILY)
    monkeypatch.undo()
    fails_above(monkeypatch, 0, RuntimeError("shapes"))
    room = Room(512)
    with pytest.raises(RuntimeError, match="shapes"):
        score_requests(model, FAMILY, room=room)
    assert room.halvings == 0


def score_in_little_memory(folder, halvings):
    torch.set_num_threads(1)
    model = load_causal(folder, torch.float32)
    requests = [Request([7, 8, 9, *(start * step % 490 + 1 for step in range(1, 60))]) for start in range(1, 140)]
    expected = score_requests(model, requests)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 100_000_000, used + 100_000_000))
    room = Room(8192)  # a mask of 8,192 x 8,192 tokens alone has 64 MB, and 256 as float32
    got = score_requests(model, requests, room=room)
    assert max(abs(a.log_likelihood - b.log_likelihood) for a, b in zip(got, expected, strict=True)) < 1e-4
    halvings.put(room.halvings)


@pytest.mark.skipif(sys.platform != "linux", reason="RLIMIT_AS holds on Linux")
def test_memory_that_really_runs_out(pico):
    halvings = FORKS.SimpleQueue()
    process = FORKS.Process(target=score_in_little_memory, args=(pico, halvings))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert 1 <= halvings.get() <= 5
