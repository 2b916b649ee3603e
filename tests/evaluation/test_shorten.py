"""Prompts of articles that are too long, shortened as Stability's fork does it: `python -m tests.parity.xlsum` holds many against its own code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jp_adapt.benchmarks.benchmark import Shorten
from jp_adapt.benchmarks.items import load_benchmark
from jp_adapt.evaluation.prompts import build_prompts
from jp_adapt.evaluation.run import run_benchmark
from jp_adapt.evaluation.shorten import shortened
from jp_adapt.inference.backend import Written

MARKS = Shorten(before="記事:", after="要約:")
TEXT = "短く。\n\n記事:一二三。四五六。七八。\n要約:甲\n\n記事:ああ。いい。\n要約:"


@pytest.mark.parametrize(
    ("room", "expected"),
    [
        (len(TEXT), TEXT),
        (30, "短く。\n\n記事:一二三。四五六。七八。\n要約:甲\n\n記事:ああ。いい。\n要約:"),  # too long as a whole, and each article has room
        (24, "短く。\n\n記事:一二三。四五六。\n要約:甲\n\n記事:ああ。いい。\n要約:"),
        (14, "短く。\n\n記事:一二三。\n要約:甲\n\n記事:ああ。\n要約:"),
        (10, "短く。\n\n記事:一二\n要約:甲\n\n記事:ああ。\n要約:"),  # not even the first sentence: as many characters as do
    ],
)
def test_articles_end_behind_the_last_sentence_that_fits(room: int, expected: str) -> None:
    assert shortened(TEXT, MARKS, room, len) == expected


def test_a_prompt_without_articles_is_left_alone() -> None:
    assert shortened("長い文。" * 9, MARKS, 3, len) == "長い文。" * 9


class Reader:
    """A model of so many characters that writes one text."""

    def __init__(self, max_tokens: int, says: str) -> None:
        self.max_tokens, self.says = max_tokens, says

    def encode(self, text: str) -> list[int]:
        return [ord(char) for char in text]

    def write(self, asks: Any, advance: Any) -> list[Written]:
        return [Written(self.says) for _ in asks]


@pytest.mark.parametrize("profile", ["swallow", "stability-0.2.1", "stability-0.3", "stability-0.6"])
def test_xl_sum_asks_of_what_fits_and_counts_the_rest(profile: str, benchmark_data: Path) -> None:
    loaded = load_benchmark("ja/xlsum-ja", benchmark_data)
    protocol, prompts = build_prompts(loaded, profile)
    outputs = []
    for most in (10_000, 30):
        backend: Any = Reader(most, prompts[0].answers[0])
        outputs += run_benchmark(loaded, protocol, prompts[:1], backend, loaded.benchmark.rules(profile), lambda done, note: None)
    whole, short = outputs
    assert (whole.prompt, whole.truncated_tokens) == (prompts[0].text, 0)
    assert short.truncated_tokens == len(whole.prompt) - len(short.prompt) > 0
    assert whole.scores["token_rouge2"] == 1.0
