"""Metrics of strings against the functions that the peers call, on real answers and on invented ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzzywuzzy import fuzz
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.evaluation.metrics import harness, strings
from tests.peer_module import load_module

TEXT = st.text(alphabet=st.sampled_from("東京都あいうえおアー亜 　AbC1２、。「」°×-_\n"), max_size=16)
REAL = [
    ("東芝", "東芝"),
    ("株式会社東芝", "東芝"),
    ("J・K・ローリング", "J. K. ローリング"),
    ("", "東京"),
    ("4年", "４年"),
    ("愛知県,岐阜県", "岐阜県、愛知県"),
    ("25°C", "25度"),
]


@pytest.mark.parametrize(("prediction", "answer"), REAL)
def test_char_f1_of_the_peers_on_real_answers(prediction: str, answer: str) -> None:
    assert strings.llm_jp_char_f1(prediction, answer) == fuzz.token_sort_ratio(prediction, answer) / 100
    assert strings.flexeval_char_f1(prediction, answer) == fuzz.ratio(prediction, answer) / 100


@given(TEXT, TEXT)
def test_char_f1_of_the_peers(prediction: str, answer: str) -> None:
    assert strings.llm_jp_char_f1(prediction, answer) == fuzz.token_sort_ratio(prediction, answer) / 100
    assert strings.flexeval_char_f1(prediction, answer) == fuzz.ratio(prediction, answer) / 100


def test_their_char_f1_is_no_f1() -> None:
    """Order matters to theirs and not to an F1 of characters: the names hide three metrics."""
    assert strings.char_f1("京東都", "東京都") == 1.0
    assert strings.flexeval_char_f1("京東都", "東京都") == 0.67
    assert strings.llm_jp_char_f1("東京 大阪", "大阪 東京") == 1.0
    assert strings.flexeval_char_f1("東京 大阪", "大阪 東京") < 0.7


@given(TEXT, TEXT)
def test_char_f1_is_symmetric_and_bounded(a: str, b: str) -> None:
    assert 0.0 <= strings.char_f1(a, b) == strings.char_f1(b, a) <= 1.0
    assert strings.char_f1(a, a) == 1.0


def test_f1_counts_words_and_not_characters() -> None:
    assert strings.word_f1("東京タワー", "東京タワー") == 1.0
    assert strings.word_f1("東京タワー", "東京 ドーム") == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5 + 6 = 11。答えは11です。", 11), ("答えは1,234円", 1234), ("合計は-3.5", -3.5), ("答えは三百二十です", 320),
        ("わからない", None), ("3個と4個で7", 7),
        ("答えは 18。", 18), ("1万8000ドル", 18000), ("18個で十分です", 18), ("それぞれ100、200個", 200), ("三点五", 3.5),
    ],
)  # fmt: skip
def test_the_last_number(text: str, number: float | None) -> None:
    assert strings.last_number(text) == number


def test_the_harness_reads_numbers_as_lm_eval_does() -> None:
    module = pytest.importorskip("lm_eval", reason="lm_eval is not installed")
    peer = load_module(Path(module.__file__).parent / "tasks" / "japanese_leaderboard" / "ja_leaderboard_mgsm.py")
    for text in ("答えは18です。", "1,234", "3.5", "なし", "...", "5-3=2。", "1. 2. 3.", "，", "答え：-7"):
        theirs = peer._extract_answer(text)
        assert strings.harness_number(text) == (None if theirs == "[invalid]" else theirs)


@pytest.mark.parametrize(
    ("prediction", "answer", "exact", "f1"),
    [
        ("東京。", "東京。", 1.0, 1.0), ("東京。", "東京", 0.0, 1.0), ("ﾄｳｷｮｳ", "トウキョウ", 1.0, 1.0), ("東京😀", "東京", 1.0, 1.0),
        ("", "東京", 0.0, 0.0), ("。", "。", 1.0, 0.0),
        ("１２３", "123", 1.0, 1.0),
    ],
)  # fmt: skip
def test_the_forks_squad_scorer(prediction: str, answer: str, exact: float, f1: float) -> None:
    """Worked out from lm_eval/jasquad/evaluate.py by hand: emoji away, neologdn, MeCab words, punctuation marks away for F1 alone."""
    assert harness.jasquad_exact_match(prediction, answer) == exact
    assert harness.jasquad_f1(prediction, answer) == f1
