"""Checks for benchmarks of one's own."""

from __future__ import annotations

from jp_adapt.evaluation.checks.limits import contains, has_chars, lacks


def test_words_stand_there_or_not() -> None:
    assert contains("犬と猫", ["犬", "猫"])
    assert not contains("犬と鳥", ["犬", "猫"])
    assert lacks("鳥", ["犬", "猫"])
    assert not lacks("犬と鳥", ["犬", "猫"])


def test_both_bounds_of_the_length_are_allowed() -> None:
    assert [has_chars("あ" * count, 2, 4) for count in range(1, 6)] == [False, True, True, True, False]
