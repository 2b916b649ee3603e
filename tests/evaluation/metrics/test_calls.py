"""Calls of functions as text, checked as the Berkeley Function Calling Leaderboard checks them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.evaluation.metrics.calls import tool_calls, written_calls
from tests.properties import examples

FEED = {
    "name": "zoo.feed",
    "parameters": {
        "type": "dict",
        "properties": {
            "animal": {"type": "string"},
            "times": {"type": "integer"},
            "kilos": {"type": "float"},
            "days": {"type": "array", "items": {"type": "string"}},
            "food": {"type": "dict", "properties": {"name": {"type": "string"}}},
            "cages": {"type": "array", "items": {"type": "dict"}},
        },
        "required": ["animal"],
    },
}
CLOSE = {"name": "close", "parameters": {"type": "dict", "properties": {}, "required": []}}
VALUES = {
    "animal": ["Red Panda", "panda"],
    "times": [2, ""],
    "kilos": [1.0, ""],
    "days": [["Mon", "Tue"], ""],
    "food": [{"name": ["bamboo"], "kind": ["leaf", ""]}, ""],
    "cages": [[{"number": [1]}], ""],
}


def asked(calls: Any) -> dict[str, Any]:
    return {"functions": [FEED, CLOSE], "calls": calls}


ONE = asked([{"zoo.feed": VALUES}])


@pytest.mark.parametrize(
    "answer",
    [
        "[zoo.feed(animal='Red Panda')]",
        "zoo.feed(animal='red-panda')",
        "```[zoo.feed(animal='PANDA', times=1+1)]```",
        "[zoo.feed(animal='panda', kilos=1)]",
        "[zoo.feed(animal='panda', days=['mon', 'Tue.'])]",
        "[zoo.feed(animal='panda', food={'name': 'Bamboo'})]",
        "[zoo.feed(animal='panda', cages=[{'number': 1}])]",
        "[zoo.feed('ignored', animal=panda)]",
    ],
)
def test_right_calls(answer: str) -> None:
    assert tool_calls(answer, ONE) == 1.0


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "[]",
        "I feed the panda.",
        "[zoo.feed()]",
        "[zoo.feed(animal='bear')]",
        "[feed(animal='panda')]",
        "[zoo.feed(animal='panda', times='2')]",
        "[zoo.feed(animal='panda', times=2.0)]",
        "[zoo.feed(animal='panda', times=True)]",
        "[zoo.feed(animal='panda', zzz=1)]",
        "[zoo.feed(animal='panda', days=['Mon'])]",
        "[zoo.feed(animal='panda', days=['Mon', 2])]",
        "[zoo.feed(animal='panda', food={'name': 'bamboo', 'size': 1})]",
        "[zoo.feed(animal='panda', food={'kind': 'leaf'})]",
        "[zoo.feed(animal='panda', cages=[{'number': 2}])]",
        "[zoo.feed(animal='panda'), zoo.feed(animal='panda')]",
        "[zoo.feed(animal='panda'), 1]",
        "[zoo.feed(animal='panda', times=2 ** 999999999)]",
        "[zoo.feed(animal='panda', times=1 / 0)]",
        "[zoo.feed(**{'animal': 'panda'})]",
        "[zoo.feed(animal=lambda: 'panda')]",
        "(" * 500,
    ],
)
def test_wrong_calls(answer: str) -> None:
    assert tool_calls(answer, ONE) == 0.0


def test_an_argument_that_may_not_be_left_out() -> None:
    always = asked([{"zoo.feed": {"animal": ["panda"], "times": [2]}}])
    assert tool_calls("[zoo.feed(animal='panda')]", always) == 0.0
    assert tool_calls("[zoo.feed(animal='panda', times=2)]", always) == 1.0


def test_several_calls_are_right_in_any_order() -> None:
    several = asked([{"zoo.feed": {"animal": ["panda"]}}, {"close": {}}, {"zoo.feed": {"animal": ["bear"]}}])
    assert tool_calls("[zoo.feed(animal='bear'), zoo.feed(animal='panda'), close()]", several) == 1.0
    assert tool_calls("[zoo.feed(animal='panda'), zoo.feed(animal='panda'), close()]", several) == 0.0
    twice = asked([{"zoo.feed": {"animal": ["panda"], "times": [2]}}] * 2)
    assert tool_calls("[zoo.feed(animal='panda', times=2.0), zoo.feed(animal='panda', times=2)]", twice) == 0.0


@pytest.mark.parametrize(("answer", "called"), [("[close()]", True), ("close(x=1)", True), ("[]", False), ("No function fits.", False), ("", False)])
def test_where_none_or_any_call_is_right(answer: str, called: bool) -> None:
    assert tool_calls(answer, asked("any")) == float(called)
    assert tool_calls(answer, asked("none")) == float(not called)


def test_values_are_read_and_never_run() -> None:
    assert written_calls("f(a=-1, b=(1, [2]), c={'k': None}, d=true, e=g(), f=g(x=1), h=l[0], i=...)") == [
        ("f", {"a": -1, "b": (1, [2]), "c": {"k": None}, "d": "true", "e": "g()", "f": {"g": {"x": 1}}, "h": "l[0]", "i": "..."})
    ]
    assert written_calls("f(a=__import__('os').system('false'))") == [("f", {"a": "__import__('os').system('false')"})]


@examples(200)
@given(st.text(alphabet="[]{}()=,.'\"azof1 -*\n", max_size=60))
def test_any_text_is_right_or_wrong(answer: str) -> None:
    assert tool_calls(answer, ONE) in (0.0, 1.0)
    assert tool_calls(answer, asked("any")) + tool_calls(answer, asked("none")) == 1.0
