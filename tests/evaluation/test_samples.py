"""Several answers to one item: pass@k by counting, and the vote."""

from __future__ import annotations

from itertools import combinations

import pytest

from jp_adapt.benchmarks.benchmark import Protocol
from jp_adapt.evaluation.results import DrawnAnswer
from jp_adapt.evaluation.samples import combined, pass_at_k, voted

WORDS = Protocol(prompt="", max_chars=9, normalise=["nfkc", "case"], metrics=["exact_match", "char_f1"])


def test_pass_at_k_is_the_share_of_choices_that_hold_a_right_answer() -> None:
    for answers in range(1, 7):
        for right in range(answers + 1):
            for k in range(1, answers + 1):
                chosen = list(combinations([True] * right + [False] * (answers - right), k))
                assert pass_at_k(answers, right, k) == pytest.approx(sum(map(any, chosen)) / len(chosen))


@pytest.mark.parametrize(
    ("predictions", "index"),
    [
        (["A", "B", "B"], 1),
        (["A", "B", "C"], 0),
        (["B", "A", "A", "B"], 0),
        (["", "", "A"], 2),
        (["", ""], 0),
        (["x", "Ａ", "a", "A"], 1),
    ],
)
def test_the_vote(predictions: list[str], index: int) -> None:
    assert voted(predictions, WORDS) == index


def test_an_item_has_the_means_of_its_answers() -> None:
    given = [("東京", 1.0, 1.0), ("京都", 0.0, 0.5), ("大阪", 0.0, 0.0), ("東京", 1.0, 1.0)]
    answers = [DrawnAnswer(f"答え：{text}", text, {"exact_match": exact, "char_f1": f1}) for text, exact, f1 in given]
    chosen, scores = combined(answers, WORDS)
    assert chosen is answers[0]
    assert scores == {"exact_match": 0.5, "char_f1": 0.625, "pass@2": pytest.approx(5 / 6), "pass@4": 1.0, "majority@4": 1.0}
    assert sorted(combined(answers[:3], WORDS)[1]) == ["char_f1", "exact_match", "majority@3", "pass@2", "pass@3"]


def test_a_metric_of_a_whole_set_is_that_of_the_answer_that_stands_for_all() -> None:
    rules = Protocol(prompt="", max_chars=9, metrics=["pearson"])
    answers = [DrawnAnswer(text, text, {"pearson": float(text)}) for text in ("1", "3", "3")]
    assert combined(answers, rules)[1] == {"pearson": 3.0}
