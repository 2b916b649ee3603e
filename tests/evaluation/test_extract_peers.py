"""Answers as swallow-evaluation-instruct finds them; its own code beside ours on 20,000 texts: `python -m tests.parity.swallow_instruct`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.evaluation.extract import extract
from tests.properties import examples


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("考えると、Aではない。\n回答: B", "B"),
        ("回答：**C**。", "C"),
        ("回答はおそらくDでしょう", "D"),
        ("B。理由はAより長いから", "B"),
        ("選ぶなら A、いや C", "C"),
        ("回答: G", ""),
        ("わかりません", ""),
    ],
)
def test_a_choice_of_four(text: str, letter: str) -> None:
    assert extract(text, ["lighteval_a_to_d"]) == letter


def test_a_choice_of_ten() -> None:
    assert extract("回答: G", ["lighteval_a_to_j"]) == "G"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("よって\n回答: $\\boxed{東京都}$", "東京都"),
        ("\\boxed{\\text{はい}} \\boxed{いいえ}", "YES"),
        ("\\boxed{\\text{YES}", "\\text{YES"),
        ("答えは「ＡＢ」です。", "AB"),
        ("回答：大阪。\n【正解】→ 京都 です", "京都"),
        ("京都です。大阪ではない", "京都"),
        ("**×**", "NO"),
        ("『』", "『』"),
        ("", ""),
    ],
)
def test_an_open_answer(text: str, answer: str) -> None:
    assert extract(text, ["swallow_answer"]) == answer


@pytest.mark.parametrize(
    ("text", "line"),
    [("日本語: 一\n 日本語:二 \n", "二 "), ("日本語:\n三", "三"), ("これは日本語: 四", ""), ("訳しません", "")],
)
def test_a_translation_behind_its_mark(text: str, line: str) -> None:
    assert extract(text, ["swallow_japanese"]) == line
    assert extract(text.replace("日本語", "English"), ["swallow_english"]) == line


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("```python\ndef f():\n    return 1\n```\n例:\n```\nf()\n```\n", "def f():\n    return 1\n"),
        ("```\na = 1\n```\n```\nb = 2\n```", "b = 2\n"),
        ("```\ndef f():", "def f():"),
        ("def f(): return 1", ""),
    ],
)
def test_the_last_program(text: str, code: str) -> None:
    assert extract(text, ["last_code_block"]) == code


@examples(200)
@given(st.text(alphabet="回答：:はA。\n\\boxed{}`* 日本語", max_size=80))
def test_every_text_has_an_answer_or_none(text: str) -> None:
    assert extract(text, ["lighteval_a_to_d"]) in ("", "A")
    assert len(extract(text, ["swallow_answer"])) <= len(text)
    assert "\n" not in extract(text, ["swallow_japanese"])
