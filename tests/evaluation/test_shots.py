"""An item is never among its own examples, and no example stands there twice: items are told apart by what they ask, not by where they lie."""

from __future__ import annotations

import pytest

from jp_adapt.benchmarks.items import Item
from jp_adapt.core.errors import InputError
from jp_adapt.evaluation.shots import with_shots


def item(question: str, number: int, file: str = "train", answer: str = "はい", choices: tuple[str, ...] = ()) -> Item:
    fields = {"question": question, "answer": answer, "qid": f"{file}-{number}", "_file": file, "_line": number, "_index": number}
    return Item(f"{file}-{number}", "", fields, list(choices), choices.index(answer) if choices else None, [answer])


@pytest.mark.parametrize("choices", [(), ("はい", "いいえ")])
def test_the_same_question_in_another_file_is_the_item_itself(choices: tuple[str, ...]) -> None:
    pool = [item(f"問{n}", n, choices=choices) for n in range(6)]
    asked = item(" 問0\n", 99, "test", "いいえ", choices)
    ((_, examples),) = with_shots([asked], pool, 3, "balanced")
    assert [entry.fields["question"] for entry in examples] == ["問1", "問2", "問3"]


def test_an_example_that_lies_twice_in_the_pool_is_shown_once() -> None:
    pool = [item("問0", 0), item("問0", 1), item("問1", 2), item("問1", 3, "more"), item("問2", 4)]
    ((_, examples),) = with_shots([item("他", 99, "test")], pool, 3, "balanced")
    assert [entry.id for entry in examples] == ["train-0", "train-2", "train-4"]
    with pytest.raises(InputError, match="4 examples are asked for, and there are 3"):
        with_shots([item("他", 99, "test")], pool, 4, "balanced")


def test_the_same_question_with_other_choices_is_another_item() -> None:
    pool = [item("どれ？", n, choices=("はい", str(n))) for n in range(4)]
    chosen = with_shots(pool[:2], pool, 2, "balanced")
    assert [[entry.id for entry in examples] for _, examples in chosen] == [["train-1", "train-2"], ["train-0", "train-2"]]


def test_the_rule_of_llm_jp_eval_takes_the_first_examples_as_it_does() -> None:
    pool = [item(f"問{n}", n) for n in range(4)]
    chosen = with_shots([item("問0", 99, "test"), pool[1]], pool, 2, "first")
    assert [[entry.id for entry in examples] for _, examples in chosen] == [["train-0", "train-1"], ["train-0", "train-2"]]


def test_pfgen_takes_the_other_questions_in_the_order_of_their_hashes() -> None:
    """A question's own answer lies in another file, and is told by the question."""
    pool = [item(f"問{n}", n) for n in range(6)]
    ((_, examples),) = with_shots([item("問3", 99, "test")], pool, 5, "pfgen")
    assert [entry.fields["question"] for entry in examples] == ["問5", "問1", "問0", "問2", "問4"]
    with pytest.raises(InputError, match="6 examples are asked for, and there are 5"):
        with_shots([item("問3", 99, "test")], pool, 6, "pfgen")
