"""Divisions are llm-jp-eval's, whose own code made the golden files of tests/parity; here is what they promise of any data."""

from __future__ import annotations

import random

import pytest

from jp_adapt.benchmarks.items import Item
from jp_adapt.core.errors import InputError
from jp_adapt.evaluation.divisions import divided


def items(count: int, group: str = "") -> list[Item]:
    return [Item(f"{group}{n}", group, {}, [], None, []) for n in range(count)]


def test_without_a_division_nothing_moves() -> None:
    measured, pool = items(3), items(2, "t")
    assert divided(measured, pool, None) == (measured, pool)


def test_examples_are_the_first_of_the_shuffled_training_split() -> None:
    pool = items(20, "t")
    shuffled = list(pool)
    random.Random(42).shuffle(shuffled)
    measured, examples = divided(items(3), pool, "llm-jp-eval")
    assert measured == items(3)
    assert examples == shuffled[:18]


def test_jcola_out_of_domain_measures_half_of_what_is_no_example() -> None:
    measured, examples = divided(items(685), [], "llm-jp-eval-jcola-out-of-domain")
    assert (len(measured), len(examples)) == (327, 32)
    assert not {item.id for item in measured} & {item.id for item in examples}


def test_jmmlu_measures_half_of_every_subject() -> None:
    every = items(41, "anatomy") + items(40, "sociology")
    measured, examples = divided(every, every, "llm-jp-eval-jmmlu")
    assert (len(measured), len(examples)) == (21 + 20 - 16, 32)
    assert not {item.id for item in measured} & {item.id for item in examples}
    with pytest.raises(InputError, match=r"'cooking' is no subject of JMMLU in llm-jp-eval 1\.3\.0"):
        divided(items(40, "cooking"), [], "llm-jp-eval-jmmlu")


def test_too_few_records_to_measure_any() -> None:
    with pytest.raises(InputError, match="32 records leave none to measure"):
        divided(items(32), [], "llm-jp-eval-jcola-out-of-domain")
