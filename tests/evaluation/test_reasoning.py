"""Two hundred answers of reasoning models with known results: each is found behind its thought, whole and token by token, and what is cut is counted."""

from __future__ import annotations

from collections import Counter

import pytest

from jp_adapt.benchmarks.benchmark import Protocol
from jp_adapt.benchmarks.items import load_declaration
from jp_adapt.evaluation.scoring import score_text
from jp_adapt.inference.answer import Answer, Continuation, Continued
from jp_adapt.text.thoughts import opened_by, split_thought
from tests.reasoning import Recorded, recorded

ALL = list(recorded())
DECLARED = {"number": "ja/mgsm-ja", "letter": "ja/jcommonsenseqa", "span": "ja/niilc"}


def protocol(kind: str) -> Protocol:
    return load_declaration(DECLARED[kind])[0].protocols["jp-adapt-chat"]


def right(answer: str, entry: Recorded) -> bool:
    rules = protocol(entry.kind)
    return score_text(answer, rules, [entry.gold])[1][rules.primary_metric] == 1.0


def written(entry: Recorded, *, length: int | None = None, max_chars: int | None = None) -> Continued:
    """The answer as an engine sees it grow, a character a token; `length` is the budget of all tokens."""

    def decode(ids: list[int]) -> str:
        return "".join(map(chr, ids))

    request = Continuation([], length or len(entry.text) + 1, max_chars=max_chars, thinks=True, opened=opened_by(entry.prompt), stop=())
    answer = Answer(request, decode, decode)
    for token in (*map(ord, entry.text), None):
        done = answer.add(token)
        if done is not None:
            return done
    raise AssertionError("an answer ends")


def test_what_there_is() -> None:
    assert len(ALL) == 200
    assert Counter(entry.kind for entry in ALL).most_common(1)[0][1] <= 72
    assert len({entry.family for entry in ALL}) == 8
    decoys = [entry for entry in ALL if entry.thought and "答え：" in entry.thought]
    assert len(decoys) > 50
    assert sum(not right(entry.thought.rpartition("答え：")[2].split("\n")[0], entry) for entry in decoys) == len(decoys), "what a thought says first is wrong"


def test_the_answers_are_found_200_of_200() -> None:
    missed = [entry for entry in ALL if not right(split_thought(opened_by(entry.prompt) + entry.text).answer, entry)]
    assert missed == []


def test_the_answers_are_found_200_of_200_token_by_token() -> None:
    results = [(entry, written(entry)) for entry in ALL]
    assert [entry for entry, done in results if not right(done.text, entry)] == []
    assert [entry for entry, done in results if done.finish != "eos"] == []
    assert [entry for entry, done in results if "dropped" not in entry.family and entry.thought not in str(done.thought)] == []


def test_thoughts_that_are_cut_are_no_answers() -> None:
    """The whole budget goes in the thought."""
    thinking = [entry for entry in ALL if entry.thought and "dropped" not in entry.family]
    for entry in thinking:
        end = entry.text.index(entry.thought) + len(entry.thought)
        done = written(entry, length=end)
        assert (done.text, done.finish) == ("", "length")
        assert entry.thought in str(done.thought)
        assert not right(done.text, entry)


@pytest.mark.parametrize("budget", [1, 3])
def test_the_budget_of_an_answer_counts_from_the_end_of_its_thought(budget: int) -> None:
    # Of a thought that quotes an opening mark alone nobody knows the end before the text is whole.
    marked = [entry for entry in ALL if "dropped" not in entry.family and "「<think>」" not in entry.thought]
    assert len(marked) > 120
    for entry in marked:
        done = written(entry, max_chars=budget)
        assert done.finish == "length"
        assert split_thought(opened_by(entry.prompt) + entry.text).answer.startswith(done.text)
        assert len(done.text) == budget


def test_tokens_of_an_answer_count_from_the_end_of_its_thought() -> None:
    entry = Recorded("qwen3", "", "<think>\n" + "あ" * 50 + "\n</think>\n\nいろはにほへと", "", "span", "")
    decode = lambda ids: "".join(map(chr, ids))  # noqa: E731
    for thought_tokens, total, expected in ((100, 105, "いろはにほ"), (0, 20, "")):
        answer = Answer(Continuation([], total, thinks=True, thought_tokens=thought_tokens), decode, decode)
        done = next(result for token in map(ord, entry.text) if (result := answer.add(token)) is not None)
        assert (done.text, done.finish) == (expected, "length")


def test_a_stop_string_within_a_thought_does_not_end_it() -> None:
    decode = lambda ids: "".join(map(chr, ids))  # noqa: E731
    for thinks, expected in ((True, Continued("東京", "stop", 20, "あ\nい")), (False, Continued("<think>あ", "stop", 9))):
        answer = Answer(Continuation([], 99, ("\n",), thinks=thinks), decode, decode)
        done = next(result for token in map(ord, "<think>あ\nい</think>東京\n大阪") if (result := answer.add(token)) is not None)
        assert (done.text, done.finish, done.thought) == (expected.text, expected.finish, expected.thought)
