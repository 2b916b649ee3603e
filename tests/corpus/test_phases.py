"""Plans one after another are read as one: no document twice in an epoch, no step in two phases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.corpus.mixture import Chosen, choose_documents, plan_training
from jp_adapt.corpus.pack import IGNORED, Plan
from jp_adapt.corpus.phases import PhasedPlan
from tests.properties import examples


@examples(100)
@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=7).filter(any),
    st.lists(st.integers(1, 40), min_size=2, max_size=4),
    st.integers(0, 3),
    st.integers(2, 9),
)
def test_what_goes_on_reads_what_one_long_choice_would_have_read(sizes: list[int], wanted: list[int], seed: int, length: int) -> None:
    size = np.asarray(sizes)
    place: dict[str, float] = {}
    together: list[tuple[int, int]] = []
    for tokens in wanted:
        part = choose_documents({"a": size}, {"a": tokens}, seed, length=length, begin=place)
        together += tokens_in(part)
        place = part.place
    long = choose_documents({"a": size}, {"a": float(len(together))}, seed, length=length)
    assert tokens_in(long)[: len(together)] == together


def tokens_in(chosen: Chosen) -> list[tuple[int, int]]:
    """(document, place in it) of each token."""
    parts = zip(chosen.document_of.tolist(), chosen.first_of.tolist(), chosen.tokens_of.tolist(), strict=True)
    return [(document, first + place) for document, first, tokens in parts for place in range(tokens)]


def test_a_book_is_read_on_where_the_phase_before_stopped() -> None:
    """One document of 100 tokens, then the same in half as many: the second phase begins behind the same share of it."""
    long, short = [list(range(1, 101))], [list(range(2, 101, 2))]
    first = plan_training({"a": (long, 1.0)}, prefix=0, length=10, rows_per_step=1, seed=0, tokens=40)
    then = plan_training({"a": (short, 1.0)}, prefix=0, length=10, rows_per_step=1, seed=0, tokens=10, begin=first.place)
    assert first.place == {"a": 0.4}
    assert sorted(target for step in range(then.num_steps) for row in then.batch(step).targets for target in row) == list(range(42, 62, 2))


@pytest.fixture
def plan() -> PhasedPlan:
    """Two phases, the second of which has its documents in half as many tokens."""
    documents = [[10 * number + place for place in range(6 + number)] for number in range(9)]
    english = [[500 + number] * 5 for number in range(4)]
    plans: list[Plan] = []
    place: dict[str, float] = {}
    for tokens in (60, 50):
        sources = {"ja": (documents, 0.8), "en": (english, 0.2)}
        plans.append(plan_training(sources, prefix=0, length=8, rows_per_step=2, seed=3, tokens=tokens, begin=place))
        place = plans[-1].place
        documents = [document[::2] for document in documents]
    return PhasedPlan(plans)


def test_every_step_is_one_of_its_phase(plan: PhasedPlan) -> None:
    first, second = plan.phases
    assert plan.starts == [0, first.num_steps, first.num_steps + second.num_steps]
    assert plan.num_steps == plan.starts[-1]
    assert [plan.phase_of(step) for step in range(plan.num_steps)] == [0] * first.num_steps + [1] * second.num_steps
    batches = [plan.batch(step, 1, 2) for step in range(plan.num_steps)]
    assert batches == [part.batch(step, 1, 2) for part in plan.phases for step in range(part.num_steps)]


def test_the_figures_are_those_of_all_phases(plan: PhasedPlan) -> None:
    targets = [row for step in range(plan.num_steps) for row in plan.batch(step).targets]
    counted = sum(target != IGNORED for row in targets for target in row)
    assert plan.fill == pytest.approx(counted / (len(targets) * 8))
    assert sum(plan.tokens_by_source.values()) == counted
    by_step = [plan.tokens_of(step) for step in range(plan.num_steps)]
    assert {name: sum(tokens.get(name, 0) for tokens in by_step) for name in ("ja", "en")} == plan.tokens_by_source
    assert plan.epochs_by_source["en"] == pytest.approx(plan.tokens_by_source["en"] / 20)
    cut = sum(len(np.flatnonzero(np.bincount(part.packing.document) > 1)) for part in plan.phases)
    assert plan.cut_share == pytest.approx(cut / sum(part.packing.num_documents for part in plan.phases))
    assert cut
