"""The mixture: every rank and every resume sees one order, no document is lost or repeated, shares hold, and the counts are true."""

from __future__ import annotations

from collections import Counter
from itertools import count

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.core.errors import InputError
from jp_adapt.corpus.mixture import choose_documents, plan_training, share_out, temperature_shares
from jp_adapt.corpus.pack import Plan
from tests.properties import examples

Sizes = dict[str, list[int]]
sources = st.dictionaries(st.sampled_from(["ja", "en", "code"]), st.lists(st.integers(0, 30), min_size=1, max_size=12).filter(any), min_size=1)


def _plan(sizes: Sizes, *, length: int = 8, rows_per_step: int = 4, seed: int = 1, **budget: float) -> tuple[Plan, dict[int, tuple[str, int, int]]]:
    """A plan over documents in which every token is another number, and the place of each number as (source, document, offset)."""
    numbers, places = count(1), {}
    documents: dict[str, tuple[list[list[int]], float]] = {}
    for weight, (name, lengths) in enumerate(sizes.items(), start=1):
        texts = []
        for document, size in enumerate(lengths):
            texts.append([next(numbers) for _ in range(size)])
            places |= {token: (name, document, offset) for offset, token in enumerate(texts[-1])}
        documents[name] = (texts, float(weight))
    return plan_training(documents, prefix=0, length=length, rows_per_step=rows_per_step, seed=seed, **(budget or {"epochs": 1})), places  # type: ignore[arg-type]


def _rows(plan: Plan, step: int, world_size: int) -> list[list[int]]:
    """The targets of a step's rows in their order, put together from the ranks' shares."""
    shares = [plan.batch(step, rank, world_size).targets for rank in range(world_size)]
    return [shares[row % world_size][row // world_size] for row in range(sum(map(len, shares)))]


@examples(150)
@given(sources, st.integers(0, 5), st.integers(1, 5))
def test_1_2_and_4_ranks_read_one_sequence_and_lose_or_repeat_nothing(sizes: Sizes, seed: int, rows_per_step: int) -> None:
    plan, places = _plan(sizes, seed=seed, rows_per_step=rows_per_step)
    sequences = {world: [row for step in range(plan.num_steps) for row in _rows(plan, step, world)] for world in (1, 2, 4)}
    assert sequences[1] == sequences[2] == sequences[4]
    seen = Counter(token for row in sequences[1] for token in row if token > 0)
    for name, lengths in sizes.items():
        whole, rest = divmod(plan.tokens_by_source[name], sum(lengths))
        times = Counter(seen[token] for token, place in places.items() if place[0] == name)
        assert set(times) <= {whole, whole + 1}, "each document once in each epoch, and the last epoch may be a part"
        assert times[whole + 1] == rest
    first = next(iter(sizes))
    assert {seen[token] for token, place in places.items() if place[0] == first} == {1}, "one epoch of the first source"


@examples(100)
@given(sources, st.integers(0, 5), st.data())
def test_a_run_resumed_at_any_step_goes_on_with_the_same_tokens(sizes: Sizes, seed: int, data: st.DataObject) -> None:
    straight, _ = _plan(sizes, seed=seed, rows_per_step=2)
    start = data.draw(st.integers(0, straight.num_steps - 1))
    resumed, _ = _plan(sizes, seed=seed, rows_per_step=2)
    assert [resumed.batch(step) for step in range(start, resumed.num_steps)] == [straight.batch(step) for step in range(start, straight.num_steps)]


@examples(100)
@given(sources, st.integers(0, 3), st.integers(2, 20))
def test_the_place_of_every_position_is_known_without_its_tokens(sizes: Sizes, seed: int, length: int) -> None:
    plan, places = _plan(sizes, seed=seed, length=length)
    for step in range(plan.num_steps):
        for row, targets in zip(plan.step(step), plan.batch(step).targets, strict=True):
            pieces = plan.row(row)
            named = [(piece.source, piece.document, piece.offset + place) for piece in pieces for place in range(piece.tokens)]
            assert named == [places[token] for token in targets if token > 0]


@examples(100)
@given(sources, st.integers(1, 500), st.integers(0, 3))
def test_a_plan_counts_what_is_read(sizes: Sizes, tokens: int, seed: int) -> None:
    plan, places = _plan(sizes, seed=seed, tokens=tokens)
    read = Counter(places[token][0] for step in range(plan.num_steps) for row in plan.batch(step).targets for token in row if token > 0)
    assert plan.tokens_by_source == {name: read[name] for name in sizes}
    assert plan.epochs_by_source == pytest.approx({name: read[name] / sum(lengths) for name, lengths in sizes.items()})
    weights = dict(zip(sizes, range(1, 4), strict=False))
    for name, lengths in sizes.items():
        wanted = tokens * weights[name] / sum(weights.values())
        assert wanted <= read[name] < wanted + min(8, max(lengths))


@examples(200)
@given(
    st.lists(st.tuples(st.floats(0.01, 100), st.floats(0, 1000) | st.none()), min_size=1, max_size=5),
    st.floats(1, 5000),
)
def test_what_a_source_may_not_give_the_others_give(limits: list[tuple[float, float | None]], tokens: float) -> None:
    weights = {str(number): weight for number, (weight, _) in enumerate(limits)}
    most = {str(number): limit for number, (_, limit) in enumerate(limits) if limit is not None}
    if len(most) == len(weights) and tokens > sum(most.values()):
        with pytest.raises(InputError, match="and may give"):
            share_out(tokens, weights, most)
        return
    parts = share_out(tokens, weights, most)
    assert sum(parts.values()) == pytest.approx(tokens)
    assert all(parts[name] <= limit + 1e-6 for name, limit in most.items())
    free = [name for name in weights if parts[name] < most.get(name, float("inf")) - 1e-6]
    ratios = [parts[name] / weights[name] for name in free]
    assert ratios == pytest.approx([ratios[0]] * len(ratios)) if ratios else True


def test_max_epochs_hold_and_the_plan_says_so() -> None:
    documents = {"ja": ([[1] * 10] * 10, 0.5), "en": ([[2] * 10] * 100, 0.5)}
    plan = plan_training(documents, prefix=0, length=16, rows_per_step=2, seed=0, tokens=800, max_epochs={"ja": 2})
    assert (plan.tokens_by_source, plan.epochs_by_source) == ({"ja": 200, "en": 600}, {"ja": 2.0, "en": 0.6})
    with pytest.raises(InputError, match=r"the mixture is asked for 5,000 tokens and may give 1,200 with its max_epochs; raise them, or ask for fewer tokens"):
        plan_training(documents, prefix=0, length=16, rows_per_step=2, seed=0, tokens=5000, max_epochs={"ja": 2, "en": 1})


def test_every_epoch_and_every_source_has_an_order_of_its_own() -> None:
    sizes = {name: np.ones(50, dtype=np.int64) for name in ("ja", "en")}
    chosen = choose_documents(sizes, {"ja": 100, "en": 50}, seed=3, length=8)
    orders = [tuple(chosen.document_of[start : start + 50].tolist()) for start in (0, 50, 100)]
    assert len(set(orders)) == 3
    assert {tuple(sorted(order)) for order in orders} == {tuple(range(50))}


def test_temperature_brings_sources_closer() -> None:
    tokens = {"en": 8000, "ja": 1000}
    assert temperature_shares(tokens, 1) == pytest.approx({"en": 8 / 9, "ja": 1 / 9})
    assert temperature_shares(tokens, 3) == pytest.approx({"en": 2 / 3, "ja": 1 / 3})
    assert temperature_shares(tokens, 1e9) == pytest.approx({"en": 0.5, "ja": 0.5}, rel=1e-6)


def test_sources_are_mixed_over_the_whole_run() -> None:
    """Every tenth of the run holds about the shares of the whole."""
    rng = np.random.default_rng(0)
    documents = {"ja": ([[1] * int(size) for size in rng.integers(5, 60, 400)], 0.9), "en": ([[2] * int(size) for size in rng.integers(5, 60, 400)], 0.1)}
    plan = plan_training(documents, prefix=0, length=64, rows_per_step=4, seed=3, epochs=1)
    tenth = plan.num_steps // 10
    for start in range(0, tenth * 10, tenth):
        read = Counter(token for step in range(start, start + tenth) for row in plan.batch(step).targets for token in row if token > 0)
        assert 0.02 < read[2] / (read[1] + read[2]) < 0.25


@examples(100)
@given(st.lists(st.integers(1, 200), min_size=1, max_size=3), st.integers(1, 9), st.integers(1, 9), st.integers(0, 3))
def test_one_epoch_is_every_document_once_whatever_the_weights(lengths: list[int], first: int, second: int, seed: int) -> None:
    sources = {"ja": ([[1] * size for size in lengths], first / 10), "en": ([[2] * 40] * 9, second / 10)}
    plan = plan_training(sources, prefix=0, length=16, rows_per_step=1, seed=seed, epochs=1)
    assert plan.epochs_by_source["ja"] == 1.0


@pytest.mark.parametrize("most", [0.1, 0.3, 2.5])
def test_the_most_that_a_source_is_read_is_not_passed_by_a_row(most: float) -> None:
    sources = {"a": ([[1] * 1000], 0.5), "b": ([[2] * 1000] * 9, 0.5)}
    plan = plan_training(sources, prefix=0, length=512, rows_per_step=1, seed=0, tokens=8000, max_epochs={"a": most})
    assert plan.epochs_by_source["a"] == pytest.approx(most, abs=0.001)
    assert plan.epochs_by_source["a"] <= most


def test_a_budget_that_reads_a_source_without_end_is_refused() -> None:
    sources = {"ja": ([[1, 2, 3]], 3.0), "en": ([[4] * 50], 1.0)}
    with pytest.raises(InputError, match=r"source 'ja' has 3 tokens, and the budget would read it 250,000,000,000,000 times; at most 100,000 are planned"):
        plan_training(sources, prefix=0, length=16, rows_per_step=2, seed=0, tokens=10**15)
