"""Accuracies of prompts and of instructions."""

from __future__ import annotations

import pytest

from jp_adapt.benchmarks.benchmark import Protocol
from jp_adapt.benchmarks.checks import check_texts
from jp_adapt.evaluation.metrics import checks as metrics
from jp_adapt.evaluation.results import Output
from jp_adapt.evaluation.scoring import metric_score, score_text

TWO = check_texts(["punctuation:no_comma", "text:contains"], [{}, {"words": ["Ｃat"]}])
NAMES = ["prompt_level_strict_acc", "inst_level_strict_acc", "prompt_level_loose_acc", "inst_level_loose_acc"]
PROTOCOL = Protocol.model_validate({"prompt": "", "max_chars": 99, "normalise": ["nfkc", "case"], "metrics": NAMES})


def test_strict_and_loose_of_prompts_and_of_instructions() -> None:
    assert (metrics.prompt_strict("a Ｃat", TWO), metrics.instruction_strict("a Ｃat", TWO)) == (1.0, 1.0)
    assert (metrics.prompt_strict("dogs", TWO), metrics.instruction_strict("dogs", TWO)) == (0.0, 0.5)
    framed = "Well,\na Ｃat"
    assert (metrics.prompt_strict(framed, TWO), metrics.instruction_strict(framed, TWO)) == (0.0, 0.5)
    assert (metrics.prompt_loose(framed, TWO), metrics.instruction_loose(framed, TWO)) == (1.0, 1.0)
    assert metrics.instruction_loose("dogs,", TWO) == 0.0


def test_an_answer_is_checked_as_it_was_written() -> None:
    """The normalisers would rewrite the full-width letter that is asked for."""
    answer, scores = score_text("a Ｃat", PROTOCOL, TWO)
    assert (answer, scores) == ("a Ｃat", dict.fromkeys(NAMES, 1.0))


def test_instructions_count_each_whatever_their_prompt() -> None:
    """Two prompts, of one instruction that is followed and of two that are not: a third of the instructions, half of the prompts."""
    outputs = [
        Output("b", name, "", "", None, None, "", "", list(checks), dict.fromkeys(NAMES, score), False, 0)
        for name, checks, score in (("1", TWO[:1], 1.0), ("2", TWO, 0.0))
    ]
    assert metric_score("inst_level_strict_acc", outputs, PROTOCOL).value == pytest.approx(1 / 3)
    assert metric_score("prompt_level_strict_acc", outputs, PROTOCOL).value == 0.5
    interval = metric_score("inst_level_strict_acc", outputs * 20, PROTOCOL).interval
    assert interval is not None
    assert 0.0 < interval[0] < 1 / 3 < interval[1] < 1.0
