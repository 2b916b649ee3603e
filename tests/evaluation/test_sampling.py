"""Samples of items: the same for every model, with every category and label in its share."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.benchmarks.items import Item
from jp_adapt.evaluation.sampling import draw_items
from tests.properties import examples


def item(number: int, label: int | None, group: str = "", labels: int = 3) -> Item:
    choices = [] if label is None else [f"L{n}" for n in range(labels)]
    return Item(f"q{number}", group, {}, choices, label, [])


def test_a_sample_has_the_labels_in_their_shares_where_the_first_items_have_one() -> None:
    """As JNLI is: eleven of its first twelve items are neutral."""
    items = [item(n, 0 if n < 60 else 1 if n < 90 else 2) for n in range(100)]
    drawn = draw_items(items, 20, 0)
    assert Counter(entry.answer for entry in drawn) == {0: 12, 1: 6, 2: 2}
    assert [entry.id for entry in drawn] == sorted((entry.id for entry in drawn), key=lambda name: int(name[1:])), "in the order of the items"
    assert drawn == draw_items(items, 20, 0) != draw_items(items, 20, 1)


def test_which_items_are_drawn_does_not_depend_on_their_order() -> None:
    items = [item(n, n % 3) for n in range(50)]
    assert {entry.id for entry in draw_items(items, 9, 0)} == {entry.id for entry in draw_items(items[::-1], 9, 0)}


def test_groups_give_their_shares_or_the_same_number_each() -> None:
    items = [item(n, None, "large" if n < 90 else "small") for n in range(100)]
    assert Counter(entry.group for entry in draw_items(items, 20, 0)) == {"large": 18, "small": 2}
    assert Counter(entry.group for entry in draw_items(items, 20, 0, equal_groups=True)) == {"large": 10, "small": 10}
    assert Counter(entry.group for entry in draw_items(items, 1, 0, equal_groups=True)) == {"large": 1, "small": 1}
    assert Counter(entry.group for entry in draw_items(items, 60, 0, equal_groups=True)) == {"large": 30, "small": 10}


@examples(100)
@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from("ab")), min_size=1, max_size=60), st.integers(1, 70), st.integers(0, 5))
def test_a_sample_is_never_off_by_more_than_one_in_any_stratum(labels: list[tuple[int, str]], limit: int, seed: int) -> None:
    items = [item(n, label, group) for n, (label, group) in enumerate(labels)]
    drawn = draw_items(items, limit, seed)
    assert len(drawn) == min(limit, len(items)) == len({entry.id for entry in drawn})
    counts, sizes = (Counter((entry.group, entry.answer) for entry in some) for some in (drawn, items))
    for stratum, size in sizes.items():
        assert abs(counts[stratum] - len(drawn) * size / len(items)) < 1


@pytest.mark.parametrize("limit", [3, 4])
def test_a_limit_of_all_items_is_all_items(limit: int) -> None:
    items = [item(n, n % 2) for n in range(3)]
    assert draw_items(items, limit, 0) == items


@pytest.mark.parametrize(("limit", "equal_groups"), [(50, True), (100, True), (50, False), (25, False)])
def test_labels_have_their_shares_over_groups_that_give_an_item_or_none(limit: int, equal_groups: bool) -> None:
    """As JMMLU is: in every subject the fourth answer is a little more common, and with one item a subject it was the only one."""
    items = [item(100 * group + n, label, f"subject {group}", labels=4) for group in range(50) for n, label in enumerate([0] * 6 + [1] * 6 + [2] * 5 + [3] * 7)]
    counts = Counter(entry.answer for entry in draw_items(items, limit, 0, equal_groups=equal_groups))
    assert sum(counts.values()) == limit
    for label, share in enumerate((6, 6, 5, 7)):
        assert abs(counts[label] - limit * share / 24) <= 2, counts


def test_small_groups_are_drawn_as_often_as_large_ones_by_their_share() -> None:
    """20 groups of 6 items and 20 of 4: with 20 items, the largest remainders were all of the large ones."""
    items = [item(10 * group + n, None, f"g{group}") for group in range(40) for n in range(6 if group < 20 else 4)]
    small = [sum(int(entry.group[1:]) >= 20 for entry in draw_items(items, 20, seed)) for seed in range(50)]
    assert sum(small) / len(small) == pytest.approx(8, abs=1)
