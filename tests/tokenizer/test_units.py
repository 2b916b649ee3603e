"""Pairs of neighbours, counted and merged."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.tokenizer.units import ABSENT, Pairs, Units, Uses, halves, lookup, pair_of
from tests.properties import examples


def units_of(words: list[list[int]]) -> Units:
    return Units(np.array([unit for word in words for unit in word], np.int32), np.array(list(map(len, words)), np.int64))


def uses_of(words: list[list[int]], source: list[int], count: list[float]) -> Uses:
    return Uses(np.array(list(map(len, words))), np.array(source), np.array(count), np.ones(1 + max(source)))


def spelled(units: Units) -> list[list[int]]:
    """The words as they stand, what was merged away left out."""
    symbols, lengths = units.words()
    return [part.tolist() for part in np.split(symbols, np.cumsum(lengths)[:-1])]


def by_pair(uses: Uses, pairs: Pairs) -> dict[tuple[int, int], list[float]]:
    return {halves(pair): each for pair, each in zip(pairs.numbers.tolist(), uses.by_pair(pairs).tolist(), strict=True)}


def test_pairs_are_counted_by_source_and_never_across_words() -> None:
    words = [[1, 2, 3], [2, 3], [1, 2], [1, 2]]
    units, uses = units_of(words), uses_of(words, [0, 1, 0, 1], [5.0, 2.0, 1.0, 1.0])
    assert by_pair(uses, units.first) == {(1, 2): [6.0, 1.0], (2, 3): [5.0, 2.0]}
    assert uses.at(units.places(pair_of(1, 2))).tolist() == [6.0, 1.0]
    assert uses.at(units.places(pair_of(3, 2))).tolist() == [0.0, 0.0]


def test_a_merge_finds_the_new_pairs_and_takes_the_old_ones_away() -> None:
    words = [[1, 2, 3, 1, 2]]
    units, uses = units_of(words), uses_of(words, [0], [4.0])
    assert by_pair(uses, units.merge(pair_of(1, 2), 9)) == {(9, 3): [4.0], (3, 9): [4.0]}
    assert spelled(units) == [[9, 3, 9]]
    assert uses.at(units.places(pair_of(2, 3))).tolist() == [0.0]
    assert uses.by_unit(units, [9, 3, 1]).tolist() == [[8.0], [4.0], [0.0]]


def test_a_run_of_equals_is_merged_from_the_left() -> None:
    words = [[7] * 5, [7] * 4, [7, 8, 7, 7]]
    units, uses = units_of(words), uses_of(words, [0, 0, 0], [1.0, 1.0, 1.0])
    assert by_pair(uses, units.merge(pair_of(7, 7), 9)) == {(9, 9): [2.0], (9, 7): [1.0], (8, 9): [1.0]}
    assert spelled(units) == [[9, 9, 7], [9, 9], [7, 8, 9]]


def test_nothing_merges_with_what_no_token_may_hold() -> None:
    units = units_of([[1, ABSENT, 2], [], [ABSENT]])
    assert not len(units.first.numbers)
    assert not len(units.merge(pair_of(1, 2), 9).numbers)
    assert spelled(units) == [[1, ABSENT, 2], [], [ABSENT]]


def test_a_weight_multiplies_the_sums_of_a_source() -> None:
    """Ten uses of weight 0.1 are 1, in whatever parts they come."""
    words = [[1, 2], [1, 2], [1, 2]]
    units = units_of(words)
    uses = Uses(np.array([2, 2, 2]), np.array([0, 0, 0]), np.array([2.0, 3.0, 5.0]), np.array([0.1]))
    assert uses.at(units.places(pair_of(1, 2))).tolist() == [1.0]
    assert by_pair(uses, units.first) == {(1, 2): [1.0]}


def test_a_table_has_a_default_and_a_least_size() -> None:
    assert lookup({2: 7}, ABSENT).tolist() == [ABSENT, ABSENT, 7]
    assert lookup({}, 0, size=2).tolist() == [0, 0]


def merged(word: list[int], pair: tuple[int, int], unit: int) -> list[int]:
    """The same by hand."""
    results: list[int] = []
    for right in word:
        if results and (results[-1], right) == pair:
            results[-1] = unit
        else:
            results.append(right)
    return results


@examples(60)
@given(st.lists(st.lists(st.integers(0, 3), max_size=9), min_size=1, max_size=5), st.data())
def test_merges_in_any_order_leave_what_they_leave_by_hand(words: list[list[int]], data: st.DataObject) -> None:
    units = units_of(words)
    uses = uses_of(words, [0] * len(words), [1.0] * len(words))
    pairs = set(units.first.numbers.tolist())
    for unit in range(4, 10):
        if not pairs:
            return
        pair = data.draw(st.sampled_from(sorted(pairs)))
        created = units.merge(pair, unit)
        words = [merged(word, halves(pair), unit) for word in words]
        assert spelled(units) == words
        standing = Counter(pair_of(*both) for word in words for both in pairwise(word))
        assert dict(zip(created.numbers.tolist(), uses.by_pair(created)[:, 0].tolist(), strict=True)) == {
            number: count for number, count in standing.items() if unit in halves(number)
        }
        pairs |= set(created.numbers.tolist())
        assert {number: float(uses.at(units.places(number))[0]) for number in pairs} == {number: standing[number] for number in pairs}
