"""The prefix tree holds every text once, and what is scored in it is what each text scores by itself."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jp_adapt.evaluation import score
from jp_adapt.evaluation.score import PrefixMemory, score_requests
from jp_adapt.evaluation.trie import Request, build_trie, common_prefix, pack, preorder
from jp_adapt.model.causal import load_causal

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
    found = [(logits[p - 1].log_softmax(-1)[request.ids[p]], logits[p - 1].argmax() == request.ids[p]) for p in range(request.first, len(request.ids))]
    return float(sum(value for value, _ in found)), all(bool(best) for _, best in found)


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


def test_prefix_memory_gives_the_prefix_and_the_new_tokens():
    memory = PrefixMemory(4)
    first, second = torch.arange(6.0).reshape(1, 1, 3, 2), torch.full((1, 1, 1, 2), 9.0)
    memory.update(first, first, 0)
    memory.length = 2
    keys, _ = memory.update(second, second, 0)
    assert keys[0, 0].tolist() == [[0, 1], [2, 3], [9, 9]]
