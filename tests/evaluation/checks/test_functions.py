"""How checks are found by their names, and what is strict and what is loose."""

from __future__ import annotations

import inspect
from importlib import import_module

import pytest

from jp_adapt.benchmarks.checks import CHECKS, check_texts
from jp_adapt.evaluation.checks.functions import passed

NO_COMMA = check_texts(["punctuation:no_comma"], [{}])


@pytest.mark.parametrize("name", CHECKS)
def test_the_function_of_a_check_takes_the_arguments_that_the_table_says(name: str) -> None:
    module, _, function = str(CHECKS[name].function).partition(":")
    taken = inspect.signature(getattr(import_module(f"jp_adapt.evaluation.checks.{module}"), function)).parameters
    assert set(taken) == {"text", *CHECKS[name].arguments}


def test_each_check_is_told_of() -> None:
    checks = check_texts(["punctuation:no_comma", "text:contains"], [{}, {"words": ["cat"]}])
    assert passed("a cat", checks) == [True, True]
    assert passed("a cat, and", checks) == [False, True]
    assert passed("dogs", checks) == [True, False]


def test_an_empty_answer_passes_nothing() -> None:
    assert passed(" \n", NO_COMMA) == passed("", NO_COMMA, loose=True) == [False]


@pytest.mark.parametrize("text", ["Sure, here it is:\nA poem", "A poem\nEnjoy, friend", "Well,\nA poem\nBye,", "Well,\nA *poem*"])
def test_a_frame_costs_nothing_where_it_is_loose(text: str) -> None:
    assert passed(text, NO_COMMA) == [False]
    assert passed(text, NO_COMMA, loose=True) == [True]


def test_what_is_wrong_within_is_wrong_loosely_too() -> None:
    assert passed("Well\nA poem, of mine\nBye", NO_COMMA, loose=True) == [False]


def test_asterisks_are_taken_away_loosely() -> None:
    ends = check_texts(["startend:end_checker"], [{"end_phrase": "the end"}])
    assert passed("This is **the end**", ends) == [False]
    assert passed("This is **the end**", ends, loose=True) == [True]
