"""Benchmark items are found in documents, however they are set, and ordinary text is left alone."""

from __future__ import annotations

import pickle
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.commands.benchmark_texts import benchmark_texts, decontaminate
from jp_adapt.core.errors import InputError
from jp_adapt.corpus.decontaminate import Decontaminate, build_index
from tests.conftest import documents
from tests.properties import examples

QUESTION = "日本で一番高い山は富士山ですが、二番目に高い山は何という名前でしょうか。"
ITEMS = {"long": [QUESTION, "南アルプスにある北岳です。"], "short": ["太郎は本を読んだか？"], "line": ["空は青い？"], "tiny": ["国は？"]}
STEP = Decontaminate(build_index(ITEMS))
PROSE = documents("ja_train.jsonl")[0]


@pytest.mark.parametrize(
    ("text", "items"),
    [
        (PROSE, []),
        (f"{PROSE}{QUESTION}{PROSE}", ["long"]),
        (" ".join(QUESTION), ["long"]),
        (QUESTION.replace("、", ",\n").replace("二", "　二"), ["long"]),
        (QUESTION[: len(QUESTION) // 3], []),
        ("問: 太郎は「本」を読んだか", ["short"]),
        ("太郎は本を買ったか", []),
        ("あの空は青い。", []),
        ("問\n空は青い？\n答", ["line"]),
        (f"空は青い\n{QUESTION}", ["line", "long"]),
        ("国は？", []),
        ("", []),
    ],
)
def test_items_are_found_as_they_are_pasted(text: str, items: list[str]) -> None:
    outcome = STEP(text)
    assert sorted(item for item, _ in outcome.matches) == items
    assert (outcome.text is None) == bool(items)


def test_how_much_of_an_item_is_held_is_told() -> None:
    half = STEP(QUESTION[:26]).matches
    assert half[0][0] == "long"
    assert 0.5 <= half[0][1] < 1
    assert STEP(QUESTION).matches == (("long", 1.0),)
    assert STEP.index.left_out == 1


def test_of_a_long_passage_a_part_of_the_ngrams_is_kept_and_tells_its_share() -> None:
    passage = "".join(documents("ja_train.jsonl")[1:9])
    step = Decontaminate(build_index({"passage": [passage], "other": [QUESTION]}))
    grams = sum(map(str.isalnum, passage)) - 12
    assert grams > 800
    assert len(step.index.hashes) < 0.4 * grams
    assert step(f"{PROSE}{passage}{PROSE}").matches == (("passage", 1.0),)
    assert step(passage[: len(passage) * 2 // 3]).matches[0][1] == pytest.approx(2 / 3, abs=0.1)
    assert step(passage[: len(passage) // 3]).matches == ()


def test_masking_takes_the_item_out_and_nothing_else() -> None:
    step = Decontaminate(build_index(ITEMS), action="mask")
    outcome = step(f"前の文。{QUESTION}後の文。\n空は青い？\n終わり")
    assert outcome.text == "前の文。。後の文。\n？\n終わり"
    assert outcome.changes == {"items masked": 2}
    assert step(QUESTION[:-1]).reason == "nothing but benchmark items"


def test_every_item_of_a_shipped_benchmark_is_found_anywhere_and_travels() -> None:
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    items = benchmark_texts(["quickstart/ja-everyday-100"], None)
    step = pickle.loads(pickle.dumps(decontaminate(("quickstart/ja-everyday-100",))))  # noqa: S301
    for name, texts in items.items():
        prose = rng.choice(documents("ja_train.jsonl"))
        place = rng.randrange(len(prose))
        assert name in dict(step(f"{prose[:place]}\n{texts[0]}\n{prose[place:]}").matches), f"seed {seed}, {name}"
    assert not [text for text in documents("ja_train.jsonl") if step(text).matches]


def test_a_step_with_nothing_to_keep_out_is_refused() -> None:
    with pytest.raises(InputError, match="decontaminate: no benchmark and no file to keep out; name some"):
        decontaminate(())


@examples(200)
@given(
    st.lists(
        st.sampled_from(["空は青い", "空は青い？", "問「空 は 青 い」", "空は青いか", "太郎は本を読んだか？", "あ", "", "x" * 17, "空は青い\r"]), max_size=8
    )
)
def test_a_short_item_is_found_where_it_is_a_line_of_its_own(lines: list[str]) -> None:
    text = "\n".join(lines)
    is_item = any("".join(filter(str.isalnum, line)) == "空は青い" for line in lines)
    assert ("line" in [item for item, _ in STEP(text).matches]) == is_item
