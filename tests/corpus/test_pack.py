"""Packing loses nothing, learns nothing twice, and is the same on every machine."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.core.errors import InputError
from jp_adapt.corpus.mixture import plan_training
from jp_adapt.corpus.pack import IGNORED, Batch, Plan, pack_best_fit
from tests.properties import examples

PREFIX = 0
Documents = list[list[int]]


def _numbered(lengths: list[int]) -> Documents:
    """Documents of these lengths, every token another number from 1 on, so that a token can be told from all others."""
    numbers = count(1)
    return [[next(numbers) for _ in range(length)] for length in lengths]


lengths = st.lists(st.integers(1, 40), min_size=1, max_size=20)
row_length = st.integers(2, 16)


def _pieces(batch: Batch) -> list[tuple[list[int], list[int]]]:
    """(ids, targets) of every piece of a batch, cut where positions start anew; padding left out."""
    results = []
    for ids, positions, targets in zip(batch.ids, batch.positions, batch.targets, strict=True):
        starts = [place for place, position in enumerate(positions) if position == 0] + [len(ids)]
        for start, end in pairwise(starts):
            if targets[start] != IGNORED:
                results.append((ids[start:end], targets[start:end]))
    return results


@dataclass
class Row:
    """Pieces as token ids, one more than their targets, and the room that is left."""

    pieces: list[list[int]]
    free: int


def _packed(documents: Documents, length: int) -> list[Row]:
    """The rows of documents that begin with a prefix, read back from where their pieces lie."""
    packing = pack_best_fit([len(document) - 1 for document in documents], length)
    rows = []
    for start, end in pairwise(packing.row_starts.tolist()):
        places = [(int(packing.document[piece]), int(packing.offset[piece]), int(packing.tokens[piece])) for piece in range(start, end)]
        rows.append(Row([documents[document][offset : offset + size + 1] for document, offset, size in places], length - sum(size for _, _, size in places)))
    return rows


def _batches(plan: Plan) -> list[Batch]:
    return [plan.batch(step) for step in range(plan.num_steps)]


@examples(200)
@given(lengths, row_length)
def test_every_token_of_a_document_is_a_target_exactly_once(sizes: list[int], length: int) -> None:
    documents = _numbered(sizes)
    rows = _packed([[PREFIX, *document] for document in documents], length)
    targets = Counter(token for row in rows for piece in row.pieces for token in piece[1:])
    assert targets == Counter(token for document in documents for token in document)


@examples(200)
@given(lengths, row_length)
def test_pieces_are_consecutive_parts_of_one_document_and_fit_their_row(sizes: list[int], length: int) -> None:
    documents = [[PREFIX, *document] for document in _numbered(sizes)]
    after = {document[place]: document[place + 1] for document in documents for place in range(1, len(document) - 1)}
    first = {document[1] for document in documents}
    for row in _packed(documents, length):
        used = 0
        for piece in row.pieces:
            assert 2 <= len(piece) <= length + 1
            used += len(piece) - 1
            for token, following in pairwise(piece):
                assert following in first if token == PREFIX else after[token] == following
        assert used + row.free == length
        assert row.free >= 0


@examples(100)
@given(lengths, row_length)
def test_no_piece_of_a_row_would_fit_into_another_alone_row(sizes: list[int], length: int) -> None:
    """Two rows that could be one are never left: of any two, the smaller content does not fit into the room of the other."""
    rows = _packed([[PREFIX, *document] for document in _numbered(sizes)], length)
    alone = [row for row in rows if len(row.pieces) == 1]
    for row in alone:
        size = len(row.pieces[0]) - 1
        assert all(size > other.free for other in rows if other is not row)


def test_best_fit_takes_the_fullest_row_that_has_room() -> None:
    rows = _packed([[0] * (size + 1) for size in (7, 6, 3, 4)], 10)
    assert [[len(piece) - 1 for piece in row.pieces] for row in rows] == [[7, 3], [6, 4]]
    rows = _packed([[0] * (size + 1) for size in (8, 7, 2)], 10)
    assert [[len(piece) - 1 for piece in row.pieces] for row in rows] == [[8, 2], [7]]


def test_a_long_document_is_cut_into_full_rows_and_a_rest() -> None:
    rows = _packed([[PREFIX, *range(1, 11)]], 4)
    assert [row.pieces for row in rows] == [[[0, 1, 2, 3, 4]], [[4, 5, 6, 7, 8]], [[8, 9, 10]]]
    assert [row.free for row in rows] == [0, 0, 2]


def test_a_known_batch() -> None:
    plan = plan_training({"a": ([[5, 6], [7]], 1.0)}, prefix=9, length=5, rows_per_step=1, seed=0, epochs=1)
    assert plan.num_steps == 1
    assert plan.batch(0) == Batch(ids=[[9, 5, 9, 0, 0]], positions=[[0, 1, 0, 0, 1]], targets=[[5, 6, 7, IGNORED, IGNORED]], num_targets=3)
    assert plan.fill == pytest.approx(3 / 5)
    assert plan.tokens_by_source == {"a": 3}


@examples(150)
@given(lengths, row_length, st.integers(1, 5), st.integers(0, 3))
def test_batches_hold_every_token_once_with_restarting_positions(sizes: list[int], length: int, rows_per_step: int, seed: int) -> None:
    documents = _numbered(sizes)
    plan = plan_training({"a": (documents, 1.0)}, prefix=PREFIX, length=length, rows_per_step=rows_per_step, seed=seed, epochs=1)
    targets: Counter[int] = Counter()
    for batch in _batches(plan):
        assert 1 <= len(batch.ids) <= rows_per_step
        for ids, positions, row_targets in zip(batch.ids, batch.positions, batch.targets, strict=True):
            assert len(ids) == len(positions) == len(row_targets) == length
            for place, (before, now) in enumerate(zip([-1, *positions], positions, strict=False)):
                assert now in (0, before + 1), f"position {place}"
            padded = [place for place, target in enumerate(row_targets) if target == IGNORED]
            assert padded == list(range(length - len(padded), length)), "padding stands at the end"
            assert all(ids[place] == 0 for place in padded)
        for ids, piece_targets in _pieces(batch):
            assert piece_targets[:-1] == ids[1:], "a target is the next id"
            targets.update(piece_targets)
        assert batch.num_targets == sum(target != IGNORED for row in batch.targets for target in row)
    assert targets == Counter(token for document in documents for token in document)
    assert sum(batch.num_targets for batch in _batches(plan)) == sum(plan.tokens_by_source.values()) == sum(sizes)


@examples(100)
@given(lengths, row_length, st.integers(1, 6), st.integers(1, 4))
def test_ranks_part_the_rows_of_a_step_among_them(sizes: list[int], length: int, rows_per_step: int, world_size: int) -> None:
    plan = plan_training({"a": (_numbered(sizes), 1.0)}, prefix=PREFIX, length=length, rows_per_step=rows_per_step, seed=1, epochs=1)
    for step in range(plan.num_steps):
        whole = plan.batch(step)
        shares = [plan.batch(step, rank, world_size) for rank in range(world_size)]
        assert {share.num_targets for share in shares} == {whole.num_targets}, "every rank divides by the targets of the whole step"
        assert sorted(row for share in shares for row in share.targets) == sorted(whole.targets)
        assert sum(target != IGNORED for share in shares for row in share.targets for target in row) == whole.num_targets
        sizes_of_ranks = [len(share.ids) for share in shares]
        assert max(sizes_of_ranks) - min(sizes_of_ranks) <= 1


@examples(50)
@given(lengths, st.integers(0, 10))
def test_the_same_seed_makes_the_same_plan(sizes: list[int], seed: int) -> None:
    def make() -> Plan:
        return plan_training({"a": (_numbered(sizes), 1.0)}, prefix=PREFIX, length=8, rows_per_step=2, seed=seed, epochs=2)

    assert _batches(make()) == _batches(make())


def test_another_seed_makes_another_order() -> None:
    plans = [plan_training({"a": (_numbered([8] * 20), 1.0)}, prefix=PREFIX, length=8, rows_per_step=1, seed=seed, epochs=1) for seed in range(3)]
    orders = [[batch.targets[0][0] for batch in _batches(plan)] for plan in plans]
    assert orders[0] != orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(orders[1]) == sorted(orders[2])


def test_a_known_plan_stays_as_it_is() -> None:
    """Runs are resumed by later versions too: this order is a promise."""
    plan = plan_training({"a": (_numbered([2, 3, 1, 4]), 1.0)}, prefix=PREFIX, length=4, rows_per_step=1, seed=1234, epochs=1)
    assert [batch.targets for batch in _batches(plan)] == [[[1, 2, -1, -1]], [[7, 8, 9, 10]], [[3, 4, 5, 6]]]
    assert [batch.ids for batch in _batches(plan)] == [[[0, 1, 0, 0]], [[0, 7, 8, 9]], [[0, 3, 4, 0]]]


@examples(100)
@given(lengths, lengths, st.floats(0.1, 10), st.integers(1, 2000), st.integers(0, 3))
def test_weights_hold_within_one_row(first: list[int], second: list[int], weight: float, tokens: int, seed: int) -> None:
    sources = {"a": (_numbered(first), 1.0), "b": (_numbered(second), weight)}
    plan = plan_training(sources, prefix=PREFIX, length=8, rows_per_step=2, seed=seed, tokens=tokens)
    for name, (documents, share) in sources.items():
        wanted = tokens * share / (1 + weight)
        assert wanted - 1e-6 <= plan.tokens_by_source[name] < wanted + min(8, max(map(len, documents))) + 1e-6
    assert sum(batch.num_targets for batch in _batches(plan)) == sum(plan.tokens_by_source.values())


def test_epochs_are_those_of_the_first_source() -> None:
    sources = {"ja": (_numbered([10] * 10), 0.75), "en": (_numbered([5] * 4), 0.25)}
    plan = plan_training(sources, prefix=PREFIX, length=8, rows_per_step=2, seed=0, epochs=3)
    assert plan.tokens_by_source == {"ja": 300, "en": 100}
    seen = Counter(target for batch in _batches(plan) for row in batch.targets for target in row if target > 20)
    assert set(seen.values()) == {3}, "each document of the first source stands in each epoch once"


def test_half_an_epoch_takes_half_the_documents_each_once() -> None:
    plan = plan_training({"a": (_numbered([10] * 10), 1.0)}, prefix=PREFIX, length=8, rows_per_step=2, seed=0, epochs=0.5)
    seen = Counter(target for batch in _batches(plan) for row in batch.targets for target in row if target != IGNORED)
    assert len(seen) == 50
    assert set(seen.values()) == {1}


def test_a_long_document_is_read_as_far_as_the_budget_goes() -> None:
    """A book of 1,000 tokens for a budget of 20: three rows of it, from its beginning."""
    plan = plan_training({"a": (_numbered([1000]), 1.0)}, prefix=PREFIX, length=8, rows_per_step=1, seed=0, tokens=20)
    assert plan.tokens_by_source == {"a": 24}
    assert plan.epochs_by_source == {"a": 0.024}
    assert sorted(target for batch in _batches(plan) for row in batch.targets for target in row) == list(range(1, 25))


def test_a_budget_of_next_to_nothing_is_one_document() -> None:
    plan = plan_training({"a": (_numbered([3, 3]), 1.0)}, prefix=PREFIX, length=8, rows_per_step=2, seed=0, epochs=1e-9)
    assert plan.num_steps == 1
    assert plan.tokens_by_source == {"a": 3}
    assert 0 < plan.fill <= 1


def test_a_source_without_a_token_is_an_error_and_no_endless_loop():
    with pytest.raises(InputError, match="source 'b': no document of it has a token"):
        plan_training({"a": ([[1, 2]], 1.0), "b": ([[], []], 1.0)}, prefix=0, length=8, rows_per_step=1, seed=0, tokens=10)
