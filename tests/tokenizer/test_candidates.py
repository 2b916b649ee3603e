"""Candidates come out in the order of a plain heap, and nothing that exists is taken for new."""

from __future__ import annotations

import heapq

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.tokenizer.candidates import Candidates, Spellings
from jp_adapt.tokenizer.units import pair_of
from tests.properties import examples

BYTES_OF = {unit: bytes([0x61 + unit]) for unit in range(8)}
pairs = st.integers(0, 63).map(lambda number: pair_of(number // 8, number % 8))
entries = st.lists(st.tuples(st.sampled_from([0.2, 0.7, 1.5, 2.0, 40.0, 900.0]), pairs), max_size=12)


@examples(100)
@given(st.lists(entries, min_size=1, max_size=5))
def test_candidates_come_out_like_those_of_one_heap(batches: list[list[tuple[float, int]]]) -> None:
    candidates = Candidates(BYTES_OF)
    plain: list[tuple[float, bytes, int]] = []
    for batch in batches:
        candidates.put(np.array([worth for worth, _ in batch]), np.array([pair for _, pair in batch], np.int64))
        for worth, pair in batch:
            heapq.heappush(plain, (-worth, BYTES_OF[pair >> 32] + BYTES_OF[pair & 7], pair))
        for _ in range(3):
            expected = heapq.heappop(plain) if plain else None
            assert candidates.pop() == expected
    while plain:
        assert candidates.pop() == heapq.heappop(plain)
    assert candidates.pop() is None


def test_what_is_pushed_back_waits_for_what_is_worth_more() -> None:
    candidates = Candidates(BYTES_OF)
    candidates.put(np.array([8.0, 3.0, 2.0]), np.array([pair_of(0, 1), pair_of(1, 2), pair_of(2, 3)]))
    first = candidates.pop()
    assert first == (-8.0, b"ab", pair_of(0, 1))
    counted_again = (-2.5, b"ab", pair_of(0, 1))
    assert not candidates.is_best(counted_again)
    candidates.push(counted_again)
    assert [worth for worth, _, _ in iter(candidates.pop, None)] == [-3.0, -2.5, -2.0]
    assert candidates.is_best(counted_again)


def test_every_pair_that_spells_a_token_is_seen() -> None:
    spellings = Spellings(BYTES_OF)
    spellings.add(500, b"abc")  # beyond the units that were given
    spellings.exists(500)
    spellings.add(501, b"bc")
    spellings.add(502, b"ab")
    left, right = np.array([0, 502, 501, 500]), np.array([501, 2, 0, 0])
    assert spellings.may_exist(left, right).tolist() == [True, True, False, False]
