"""Words as UniDic cuts them."""

from __future__ import annotations

import pytest

from jp_adapt.text.morphology import count_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        (" \n\n　\n", 0),
        ("今日は良い天気です。", 6),  # 今日 は 良い 天気 です 。
        ("猫が鳴く", 3),
        ("猫が鳴く\n猫が鳴く\r\n\n猫が鳴く", 9),
        ("read two books", 3),
    ],
)
def test_count(text: str, words: int) -> None:
    assert count_words(text) == words


def test_a_line_break_is_a_word_break() -> None:
    assert count_words("学\n校") == 2
    assert count_words("学校") == 1
