"""How surprising tokens are: together what the text costs, and whose part of the text each is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from jp_adapt.inference.bits import score_texts
from jp_adapt.inference.model_folder import load_model
from jp_adapt.inference.surprise import token_surprise


def test_together_they_are_the_bits_of_the_text(pico: Path) -> None:
    evaluated = load_model(pico, "float32")
    side = evaluated.side
    tokens = token_surprise(evaluated, "It rains ", "雨 today")
    assert "".join(one.text for one in tokens if not one.partial) == "It rains  today"
    assert [one.text for one in tokens if one.partial] == ["E9", "9B", "A8"]
    assert [one.before for one in tokens] == [True] * sum(one.before for one in tokens) + [False] * sum(not one.before for one in tokens)
    assert "".join(one.text for one in tokens if one.before) == "It rains "
    whole = score_texts(evaluated.model, side.tokenizer.encode, ["It rains 雨 today"], prefix=side.starts.document, max_tokens=side.max_tokens)
    assert sum(one.bits for one in tokens) == pytest.approx(whole.bits[0], rel=1e-5)


def test_of_a_long_text_the_end_is_read(pico: Path) -> None:
    evaluated = load_model(pico, "float32")
    short = replace(evaluated, side=replace(evaluated.side, max_tokens=8))
    tokens = token_surprise(short, "The children were playing in the garden. " * 3, "It rains")
    assert len(tokens) == 7
    assert "".join(one.text for one in tokens).endswith("It rains")
    assert "".join(one.text for one in tokens if not one.before) in "It rains"
    assert token_surprise(evaluated, "", "") == []
