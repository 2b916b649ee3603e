"""Parts that an answer is divided into, and dividers at its ends."""

from __future__ import annotations

import pytest

from jp_adapt.evaluation.checks import shared


@pytest.mark.parametrize(("text", "count"), [("a", 1), ("a***b", 2), ("***a ***\nb***", 2), ("a******b", -1), ("a***\n***b", -1), ("***", 0)])
def test_paragraphs_between_dividers(text: str, count: int) -> None:
    assert [number for number in range(-1, 5) if shared.has_divided_paragraphs(text, number)] == [count]


def test_two_responses_are_two_and_differ() -> None:
    assert shared.has_two_responses("******a******b")
    assert not shared.has_two_responses("a******b******c")
    assert not shared.has_two_responses("a******\n******b")


def test_a_paragraph_behind_too_many_empty_lines_is_not_found() -> None:
    """As in the benchmarks: the second part is empty there."""
    assert shared.nth_paragraph("a\n\nb", 2, 2) == "b"
    assert shared.nth_paragraph("a\n\n\n\nb", 2, 2) is None


def test_json_that_is_nested_too_deeply_is_none() -> None:
    assert not shared.is_json("[" * 100_000)
