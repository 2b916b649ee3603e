"""Pairs of neighbours, counted and merged."""

from __future__ import annotations

import numpy as np

from jp_adapt.tokenizer.units import END, Units, halves, pair_of


def units_of(words: list[list[int]], counts: list[list[float]]) -> Units:
    return Units(words, np.array(counts, dtype=float))


def spelled(units: Units) -> list[list[int]]:
    """The words as they stand, what was merged away left out."""
    words: list[list[int]] = [[]]
    for unit in units.unit[1:].tolist():
        if unit >= 0:
            words[-1].append(unit)
        elif unit == END:
            words.append([])
    return words[:-1]


def test_pairs_are_counted_by_source_and_never_across_words() -> None:
    units = units_of([[1, 2, 3], [2, 3], [1, 2]], [[5.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    found = units.all_pairs()
    assert {halves(pair): uses for pair, uses in zip(found.pairs, found.uses.tolist(), strict=True)} == {(1, 2): [6.0, 1.0], (2, 3): [5.0, 2.0]}
    assert units.uses_of(pair_of(3, 2)).tolist() == [0.0, 0.0]


def test_a_merge_finds_the_new_pairs_and_takes_the_old_ones_away() -> None:
    units = units_of([[1, 2, 3, 1, 2]], [[4.0]])
    units.all_pairs()
    found = units.merge(pair_of(1, 2), 9)
    assert {halves(pair): uses for pair, uses in zip(found.pairs, found.uses.tolist(), strict=True)} == {(9, 3): [4.0], (3, 9): [4.0]}
    assert spelled(units) == [[9, 3, 9]]
    assert units.uses_of(pair_of(2, 3)).tolist() == [0.0]
    assert units.unit_uses([9, 3, 1]).tolist() == [[8.0], [4.0], [0.0]]


def test_a_run_of_equals_is_merged_from_the_left() -> None:
    units = units_of([[7] * 5, [7] * 4, [7, 8, 7, 7]], [[1.0], [1.0], [1.0]])
    units.all_pairs()
    found = units.merge(pair_of(7, 7), 9)
    assert spelled(units) == [[9, 9, 7], [9, 9], [7, 8, 9]]
    assert {halves(pair): uses for pair, uses in zip(found.pairs, found.uses.tolist(), strict=True)} == {(9, 9): [2.0], (9, 7): [1.0], (8, 9): [1.0]}


def test_nothing_merges_with_what_no_token_may_hold() -> None:
    units = units_of([[1, END, 2], [], [END]], [[1.0], [1.0], [1.0]])
    assert units.all_pairs().pairs == []
    assert units.merge(pair_of(1, 2), 9).pairs == []
