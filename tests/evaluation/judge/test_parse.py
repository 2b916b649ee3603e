"""Verdicts are read strictly: one way or not at all."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.evaluation.judge.parse import (
    VerdictError,
    bracketed_rating,
    first_line_scores,
    json_grade,
    json_scores,
    last_line_choice,
    lone_grade,
    parse_verdict,
)
from tests.data import needs_data, shared_data
from tests.properties import examples


@pytest.mark.parametrize(
    ("text", "grade"),
    [
        ('{"reason": "良い", "grade": 4}', 4),
        ('\n{"grade": 5}\n', 5),
        ('```json\n{"reason": "a", "grade": 1}\n```', 1),
        ('```\n{"grade": 2}\n```\n', 2),
        ('{"grade": 3.0, "reason": "``` を含む"}', 3),
    ],
)
def test_a_grade(text: str, grade: float) -> None:
    assert json_grade(text, (1, 5)) == grade


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not a JSON object"),
        ("4", "JSON, but not an object: 4"),
        ('評価は {"grade": 4} です', "not a JSON object"),
        ('{"grade": 4} {"grade": 5}', "not a JSON object"),
        ('{"reason": "a"}', "no 'grade' among the keys reason"),
        ("{}", r"no 'grade' among the keys \(none\)"),
        ('{"grade": "4"}', 'grade is "4", not a whole number'),
        ('{"grade": true}', "grade is true, not a whole number"),
        ('{"grade": null}', "grade is null"),
        ('{"grade": 3.5}', "grade is 3.5, not a whole number"),
        ('{"grade": 0}', "0 is outside the scale from 1 to 5"),
        ('{"grade": 6}', "6 is outside the scale"),
        ('{"grade": NaN}', "NaN is not a number of JSON"),
        ('{"grade": 1e999}', "the number 1e999 is too large"),
        ('{"grade": 4' + "4" * 308 + "}", "a number of 309 digits"),
        ('{"grade": 4' + "4" * 4300 + "}", "a number of 4,301 digits"),
        ("[" * 100_000, "nested deeper than 100 levels"),
        ('{"grade": ' + '{"a":' * 5000 + "4" + "}" * 5001, "nested deeper than 100 levels"),
        ('{"grade": 1, "grade": 5}', "the key 'grade' stands twice"),
        ('{"reason": "切れ', "not a JSON object"),
    ],
)
def test_no_grade_and_why(text: str, why: str) -> None:
    with pytest.raises(VerdictError, match=why):
        json_grade(text, (1, 5))


@pytest.mark.parametrize(("text", "rating"), [("評価：[[5]]", 5), ("[[10]] つまり [[10]]", 10), ("［［８］］", 8), ("Rating: [[ 7.5 ]]", 7.5), ("[[０１]]", 1)])
def test_a_rating(text: str, rating: float) -> None:
    assert bracketed_rating(text, (1, 10)) == rating


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("とても良い", "no rating of the form"),
        ("評価：[5]", "no rating of the form"),
        ("[[5]] いや [[6]]", r"several ratings: \[\[5\]\], \[\[6\]\]"),
        ("[[0]]", "0 is outside the scale from 1 to 10"),
        ("[[11]]", "11 is outside"),
        ("[[評価]]", "no rating"),
        ("[[-5]]", "no rating"),
        ("[[%s]]" % ("9" * 400), "no rating"),
    ],
)
def test_no_rating_and_why(text: str, why: str) -> None:
    with pytest.raises(VerdictError, match=why):
        bracketed_rating(text, (1, 10))


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("1", 1.0),
        ("比べた。\n２\n\n", 0.0),
        ("回答1も2も同じ。\n3", 0.5),
        ("アシスタント1の回答を選びます。", 1.0),
        ("①", 1.0),
        ("x\r\n1", 1.0),
        ("最終的な評価：２", 0.0),
        ("**3**", 0.5),
        ("「1」です。", 1.0),
        ("[2]", 0.0),
        ("アシスタント2です", 0.0),
        ("結論: 3\n\n", 0.5),
        ("(1)", 1.0),
    ],
)
def test_a_choice(text: str, score: float) -> None:
    assert last_line_choice(text) == score


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "an empty answer"),
        ("1\n良い", 'the last line is "良い", not one of 1, 2 and 3 alone'),
        ("1か2", "not one of 1, 2 and 3 alone"),
        ("12", "not one of"),
        ("4", "not one of"),
        ("2つの回答は同等であり、引き分けとします。", "not one of"),
        ("この2点を踏まえ、最初のアシスタントの回答を選びます", "not one of"),
        ("アシスタント1は誤りが多いため選べません", "not one of"),
        ("両者とも3点", "not one of"),
        ("アシスタント3", "not one of"),
        ("3点です", "not one of"),
        ("\n \n", "an empty answer"),
    ],
)
def test_no_choice_and_why(text: str, why: str) -> None:
    with pytest.raises(VerdictError, match=why):
        last_line_choice(text)


@pytest.mark.parametrize(
    ("text", "reference", "score"),
    [
        ("8 6\nAssistant 1 saw 3 cranes.", 8, 6),
        ("10, 7", 10, 7),
        ("8,6\n", 8, 6),
        ("\n\n7.5 9\n\n理由", 7.5, 9),
        ("８　６\n良い", 8, 6),
        ("**9 4**\n", 9, 4),
    ],
)
def test_two_scores_of_the_first_line(text: str, reference: float, score: float) -> None:
    assert first_line_scores(text, (1, 10)) == (score, reference)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "an empty answer"),
        ("8\n6", 'the first line is "8", not two numbers alone'),
        ("8 6 7", "not two numbers alone"),
        ("86", "not two numbers alone"),
        ("8,5,6", "not two numbers alone"),
        ("8/10 6/10", "not two numbers alone"),
        ("Assistant 1: 8, Assistant 2: 6", "not two numbers alone"),
        ("8 and 6", "not two numbers alone"),
        ("Scores:\n8 6", 'the first line is "Scores:"'),
        ("-8 6", "not two numbers alone"),
        ("0 6", "0 is outside the scale from 1 to 10"),
        ("8 11", "11 is outside"),
    ],
)
def test_no_two_scores_and_why(text: str, why: str) -> None:
    with pytest.raises(VerdictError, match=why):
        first_line_scores(text, (1, 10))


def test_two_scores_of_an_object() -> None:
    assert json_scores('```json\n{\n  "score_gpt": 9,\n  "score": 4\n}\n```', (1, 10)) == (4, 9)
    assert json_scores('{"score": 4, "score_gpt": 10.0}', (1, 10)) == (4, 10)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"score": 4}', "no 'score_gpt' among the keys score"),
        ('{"score": 4, "score_gpt": "9"}', 'score_gpt is "9", not a whole number'),
        ('{"score": 0, "score_gpt": 9}', "0 is outside the scale"),
        ('{"score": 4, "score_gpt": 9, "score": 5}', "the key 'score' stands twice"),
        ('{"score": 4, "score_gpt": 9} {"score": 5, "score_gpt": 9}', "not a JSON object"),
        ("9 4", "not a JSON object"),
    ],
)
def test_no_two_scores_of_an_object_and_why(text: str, why: str) -> None:
    with pytest.raises(VerdictError, match=why):
        json_scores(text, (1, 10))


@pytest.mark.parametrize(("text", "grade"), [("4", 4), (" ５\n", 5), ("**3**", 3), ("2.", 2)])
def test_a_lone_grade(text: str, grade: float) -> None:
    assert lone_grade(text, (1, 5)) == grade


@pytest.mark.parametrize("text", ["", "4.5", "4/5", "Score: 4", "4 5", "4\n5", "良い", "0", "6"])
def test_no_lone_grade(text: str) -> None:
    with pytest.raises(VerdictError, match=r"not a whole number alone|outside the scale from 1 to 5"):
        lone_grade(text, (1, 5))


FORMS = ["json_grade", "bracketed_rating", "lone_grade", "last_line_choice", "first_line_scores", "json_scores"]
THOUGHTS = [
    '<think>\n1点か、{"grade": 1}か。\n</think>\n\n%s',
    "1点か、[[1]]か。\n</think>\n%s",  # the chat template of DeepSeek-R1 writes the opening mark
    "<thinking>3</thinking>%s",
    "[THINK]2[/THINK]\n%s",
    "<|channel|>analysis<|message|>2<|end|><|start|>assistant<|channel|>final<|message|>%s",
]


@pytest.mark.parametrize("thought", THOUGHTS)
@pytest.mark.parametrize(
    ("form", "text", "score"),
    [("json_grade", '{"grade": 4}', 4), ("bracketed_rating", "[[4]]", 4), ("last_line_choice", "1", 1.0), ("first_line_scores", "9 4", 4)],
)
def test_the_verdict_stands_behind_the_thought(thought: str, form: str, text: str, score: float) -> None:
    assert parse_verdict(form, thought % text, (1, 10)).score == score


@pytest.mark.parametrize("text", ["<think>\n1", "[THINK] [[4]]", '<think>{"grade": 4}', "<|channel|>analysis<|message|>[[4]]"])
def test_a_thought_without_an_end_holds_no_verdict(text: str) -> None:
    for form in FORMS:
        with pytest.raises(VerdictError, match="does not end"):
            parse_verdict(form, text, (1, 10))


def test_a_mark_of_a_thought_within_an_answer_is_text() -> None:
    assert parse_verdict("json_grade", '{"reason": "<think>と</think>がある", "grade": 3}', (1, 5)).score == 3


@examples(300)
@given(st.sampled_from(FORMS), st.text() | st.text(alphabet='{}[]"grade: 0123\n`'))
def test_any_text_is_a_verdict_on_the_scale_or_an_error(form: str, text: str) -> None:
    with contextlib.suppress(VerdictError):
        score, reference = parse_verdict(form, text, (1, 10))
        assert score in (0.0, 0.5, 1.0) if form == "last_line_choice" else 1 <= score <= 10
        assert (reference is not None and 1 <= reference <= 10) == (form in ("first_line_scores", "json_scores"))


@needs_data
def test_every_recorded_judgement_is_read_as_it_was_recorded() -> None:
    path = shared_data() / "benchmarks/japanese_mt_bench/fastchat/llm_judge/data/japanese_mt_bench/model_judgment/gpt-4_single.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 564
    assert [bracketed_rating(line["judgment"], (1, 10)) for line in lines] == [line["score"] for line in lines]
