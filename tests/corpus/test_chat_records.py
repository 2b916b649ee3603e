"""Rows of chat data are closed: what stands beside a conversation is used, taken for a note and listed, or refused with its line."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from jp_adapt.core.errors import InputError
from jp_adapt.corpus.conversations import read_conversations
from jp_adapt.corpus.preferences import read_preferences
from jp_adapt.corpus.record_fields import Fields

Row = dict[str, Any]
SYSTEM, USER, ANSWER = {"role": "system", "content": "S"}, {"role": "user", "content": "U"}, {"role": "assistant", "content": "A"}
BEFORE = [{"role": "user", "content": "U0"}, {"role": "assistant", "content": "A0"}]
MUTE = ANSWER | {"weight": 0}
CALL = {"type": "function", "function": {"name": "add", "arguments": {"a": 1, "名": "日本"}}}
TOOL = {"type": "function", "function": {"name": "add", "description": "足す", "parameters": {"type": "object", "properties": {}}}}
CALLED = [USER, {"role": "assistant", "content": "", "tool_calls": [CALL | {"id": "x1"}]}, {"role": "tool", "content": "3", "tool_call_id": "x1"}, ANSWER]
ALPACA: Row = {"instruction": "U", "output": "A"}
CHAT: Row = {"messages": [USER, ANSWER]}
SHAREGPT: Row = {"conversations": [{"from": "human", "value": "U"}, {"from": "gpt", "value": "A"}]}


def write(path: Path, *rows: Row) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def turn(**more: Any) -> Row:
    return {"messages": [USER, ANSWER | more]}


USED = {
    "Alpaca's history and system": (
        ALPACA | {"input": "I", "history": [["U0", "A0"]], "system": "S"},
        [SYSTEM, *BEFORE, USER | {"input": "I"}, ANSWER],
    ),
    "an empty history, system and input": (ALPACA | {"input": "", "history": [], "system": ""}, [USER, ANSWER]),
    "fields that a table left empty": (ALPACA | {"history": None, "system": None, "tools": None, "weight": None, "images": [], "context": ""}, [USER, ANSWER]),
    "ShareGPT's system": (SHAREGPT | {"system": "S"}, [SYSTEM, USER, ANSWER]),
    "a system said twice": ({"messages": [SYSTEM, USER, ANSWER], "system": " S "}, [SYSTEM, USER, ANSWER]),
    "weights of SlimOrca": (
        {
            "conversations": [
                {"from": "system", "value": "S", "weight": None},
                {"from": "human", "value": "U", "weight": 0.0},
                {"from": "gpt", "value": "A", "weight": 1.0},
            ]
        },
        [SYSTEM, USER, ANSWER],
    ),
    "weight 0 of a message": ({"messages": [*BEFORE, USER, ANSWER | {"weight": 0}]}, [*BEFORE, USER, MUTE]),
    "weight 1 of a message": (turn(weight=1), [USER, ANSWER]),
    "train: false, as axolotl has it": (turn(train=False), [USER, MUTE]),
    "training: false": (turn(training=False), [USER, MUTE]),
    "loss: false, as ms-swift has it": (turn(loss=False), [USER, MUTE]),
    "weight 0 of a row": ({"messages": [*BEFORE, USER, ANSWER], "weight": 0}, [BEFORE[0], BEFORE[1] | {"weight": 0}, USER, MUTE]),
    "weight 0 of an Alpaca row": (ALPACA | {"weight": 0.0}, [USER, MUTE]),
    "reasoning_content": (turn(reasoning_content="R"), [USER, ANSWER | {"reasoning_content": "R"}]),
    "reasoning": (turn(reasoning="R"), [USER, ANSWER | {"reasoning_content": "R"}]),
    "thinking": (turn(thinking="R"), [USER, ANSWER | {"reasoning_content": "R"}]),
    "one text under two names": (turn(thinking="R", reasoning_content="R"), [USER, ANSWER | {"reasoning_content": "R"}]),
    "calls and their results": ({"messages": CALLED, "tools": [TOOL]}, CALLED),
    "arguments as JSON, as OpenAI has them": (
        {
            "messages": [
                USER,
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"type": "function", "function": {"name": "add", "arguments": '{"a": 1, "名": "日本"}'}}],
                },
            ]
        },
        [USER, {"role": "assistant", "content": "", "tool_calls": [CALL]}],
    ),
    "calls in ShareGPT, as LLaMA-Factory has them": (
        {
            "conversations": [
                {"from": "human", "value": "U"},
                {"from": "function_call", "value": '{"name": "add", "arguments": {"a": 1, "名": "日本"}}'},
                {"from": "observation", "value": "3"},
                {"from": "gpt", "value": "A"},
            ],
            "tools": json.dumps([TOOL["function"]]),
        },
        [USER, {"role": "assistant", "content": "", "tool_calls": [CALL]}, {"role": "tool", "content": "3"}, ANSWER],
    ),
    "a text in a list of one part": ({"messages": [USER | {"content": [{"type": "text", "text": "U"}]}, ANSWER]}, [USER, ANSWER]),
    "the prompt once more, as UltraChat has it": (CHAT | {"prompt": "U", "prompt_id": "9f"}, [USER, ANSWER]),
}


@pytest.mark.parametrize("name", USED)
def test_what_is_used(tmp_path: Path, name: str) -> None:
    row, messages = USED[name]
    (results,) = read_conversations(write(tmp_path / "x.jsonl", row))
    assert results.messages == messages
    assert results.tools == ([TOOL] if row.get("tools") else None)
    assert results.is_trained == any(message["role"] == "assistant" and "weight" not in message for message in messages)


REFUSED = {
    "pictures": (CHAT | {"images": ["a.png"]}, "'images' pictures, sounds and films are not trained on here"),
    "a picture by its address": (CHAT | {"image_url": "https://x/a.png"}, "'image_url' pictures, sounds"),
    "parts that are pictures": (
        {"messages": [USER | {"content": [{"type": "image"}, {"type": "text", "text": "U"}]}, ANSWER]},
        "message 1: 'content' is a list of parts",
    ),
    "OpenAI's older functions": (CHAT | {"functions": [{"name": "f"}]}, "'functions' is the older form; write 'tools'"),
    "an older call": (turn(function_call={"name": "f", "arguments": "{}"}), "message 2: 'function_call' is the older form"),
    "a passage": (ALPACA | {"context": "長い文。"}, "'context' is text that the answer needs"),
    "documents": (CHAT | {"documents": [{"text": "x"}]}, "'documents' is text that the answer needs"),
    "a mask": (CHAT | {"loss_mask": [0, 1]}, "'loss_mask' says what is trained on"),
    "a preference": (CHAT | {"rejected": "B"}, "'rejected' makes a preference of it"),
    "a bad answer of KTO": (ALPACA | {"kto_tag": False}, "'kto_tag' tells good answers from bad ones"),
    "a bad answer by label": (ALPACA | {"label": False}, "'label' tells good answers from bad ones"),
    "settings of the template": (CHAT | {"chat_template_kwargs": {"enable_thinking": True}}, "'chat_template_kwargs' is a setting of the template"),
    "another shape": (CHAT | {"instruction": "V"}, "'instruction' says something beside the conversation"),
    "a rendered text": (CHAT | {"text": "<s>U A</s>"}, "'text' says something beside the conversation"),
    "a prompt that differs": (CHAT | {"prompt": "V"}, "'prompt' says something beside"),
    "a near miss of system": (SHAREGPT | {"sytem": "S"}, "'sytem' is not read here; is it 'system'?"),
    "another case": (SHAREGPT | {"System": "S"}, "'System' is not read here; is it 'system'?"),
    "a near miss of weight": (turn(wieght=0), "message 2: 'wieght' is not read here; is it 'weight'?"),
    "a near miss of history": (ALPACA | {"histroy": [["U0", "A0"]]}, "'histroy' is not read here; is it 'history'?"),
    "a near miss of input": (ALPACA | {"inputs": "I"}, "'inputs' is not read here; is it 'input'?"),
    "a near miss of tool_calls": (turn(tool_call=[CALL]), "message 2: 'tool_call' is not read here; is it 'tool_calls'?"),
    "a system prompt by another name": (CHAT | {"system_message": "短く"}, "'system_message' sounds like a part of the conversation"),
    "text that is not a label": (CHAT | {"gist": "これは長い説明です。答えに要るかもしれません。"}, "'gist' holds more than a label"),
    "a structure that is not a label": (CHAT | {"extra": {"a": 1}}, "'extra' holds more than a label"),
    "half a weight": (turn(weight=0.5), "message 2: 'weight' is 0.5; 0 (not trained on) or 1"),
    "a weight of 2 for a row": (CHAT | {"weight": 2}, "'weight' is 2; 0 (not trained on) or 1"),
    "a weight in words": (turn(weight="0"), "message 2: 'weight' is '0'; 0 (not trained on) or 1"),
    "a question that asks to be trained on": ({"messages": [USER | {"weight": 1}, ANSWER]}, "message 1: is of 'user' and asks to be trained on"),
    "two weights that differ": (turn(weight=1, train=False), "'weight' and 'train' contradict each other"),
    "two system prompts": ({"messages": [SYSTEM, USER, ANSWER], "system": "T"}, "'system' and the first message are two system prompts"),
    "a history of another form": (ALPACA | {"history": [{"role": "user"}]}, "'history' is not a list of pairs"),
    "an empty answer in the history": (ALPACA | {"history": [["U0", ""]]}, "history 1: 'answered' is empty"),
    "two reasonings": (turn(reasoning="R", thinking="T"), "are names of one text, and here they are more"),
    "reasoning of a user": ({"messages": [USER | {"reasoning_content": "R"}, ANSWER]}, "message 1: 'reasoning_content' is not used here"),
    "a name": ({"messages": [USER | {"name": "花子"}, ANSWER]}, "message 1: 'name' is not used here: who speaks is not shown"),
    "a refusal": (turn(refusal="断る。"), "message 2: 'refusal' is text of the answer"),
    "an answer begun": (turn(prefix=True), "message 2: 'prefix' is text of the answer"),
    "tools that are none": (CHAT | {"tools": ["add"]}, "'tools': number 1 is not a function with a name"),
    "tools that are no JSON": (CHAT | {"tools": "[{"}, "'tools': not valid JSON"),
    "calls that are none": (turn(tool_calls=[{"name": 3}]), "message 2: call 1: no function with a name"),
    "arguments that are no object": (
        turn(tool_calls=[{"function": {"name": "f", "arguments": "[1]"}}]),
        "message 2: call 1: no function with a name and an object",
    ),
    "more in a call": (turn(tool_calls=[CALL | {"output": "3"}]), "message 2: call 1: 'output' is not read in a call"),
    "a call without its result": ({"messages": [USER, CALLED[1], USER, ANSWER]}, "message 3 is of 'user', and 'tool' is due"),
    "a result without a call": ({"messages": [USER, ANSWER, CALLED[2], ANSWER]}, "message 3 is of 'tool', and 'user' is due"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(tmp_path: Path, name: str) -> None:
    row, message = REFUSED[name]
    path = write(tmp_path / "x.jsonl", CHAT, row)
    with pytest.raises(InputError) as caught:
        read_conversations(path)
    assert str(caught.value).startswith(f"{path}:2: ")
    assert message in str(caught.value)


NOTES: list[Row] = [
    {"id": "x-1", "source": "manual", "category": "創作", "lang": "ja", "score": 0.9, "model": "m", "tags": ["a", "b"], "meta": {"any": {"thing": [1]}}},
    {"prompt_id": "ab", "message_count": 2, "created_at": "2026-11-29", "num_turns": 1, "is_safe": True, "quality": "good", "url": "https://example.com/a?b"},
    {"index": 3, "dataset": "d", "license": "CC0-1.0", "toxicity": {"a": 0.1}, "turns": 2, "len": 5, "難しさ": "高", "_row": 1, "answer_type": "short"},
]


@pytest.mark.parametrize("shape", [ALPACA, CHAT, SHAREGPT])
def test_notes_are_read_over_and_counted(tmp_path: Path, shape: Row) -> None:
    fields = Fields()
    assert len(read_conversations(write(tmp_path / "x.jsonl", *(shape | notes for notes in NOTES), shape), fields)) == 4
    assert fields.notes == Counter(name for notes in NOTES for name in notes)
    assert fields.said().count("(1)") == len(fields.notes)


def test_a_user_may_say_that_a_field_is_a_note_and_not_one_that_is_used(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", turn(weight=0) | {"context": "長い文。", "sytem": "S"})
    with pytest.raises(InputError, match=r"'context' is text .*; or, if it is but a note: ignore: \[context\] in the source"):
        read_conversations(path)
    fields = Fields(["context", "sytem", "weight"])
    (results,) = read_conversations(path, fields)
    assert not results.is_trained
    assert fields.notes == Counter(context=1, sytem=1)


PAIR: Row = {"chosen": "A", "rejected": "B"}
GOOD, BAD = {"from": "gpt", "value": "A"}, {"from": "gpt", "value": "B"}
PAIRS = {
    "a system and a history": (PAIR | {"prompt": "U", "system": "S", "history": [["U0", "A0"]]}, [SYSTEM, *BEFORE, USER]),
    "Alpaca's fields": (PAIR | {"instruction": "U", "input": "I", "system": "S"}, [SYSTEM, USER | {"input": "I"}]),
    "ShareGPT, as LLaMA-Factory has it": (
        {"conversations": [{"from": "human", "value": "U"}], "chosen": GOOD, "rejected": BAD, "system": "S"},
        [SYSTEM, USER],
    ),
    "messages before two answers": (PAIR | {"messages": [*BEFORE, USER]}, [*BEFORE, USER]),
    "UltraFeedback": (
        {
            "prompt": "U",
            "prompt_id": "9",
            "chosen": [USER, ANSWER],
            "rejected": [USER, ANSWER | {"content": "B"}],
            "messages": [USER, ANSWER],
            "score_chosen": 9.0,
        },
        [USER],
    ),
    "tools and a call in the prompt": ({**PAIR, "messages": CALLED[:3], "tools": [TOOL]}, CALLED[:3]),
}


@pytest.mark.parametrize("name", PAIRS)
def test_what_is_used_of_preferences(tmp_path: Path, name: str) -> None:
    row, prompt = PAIRS[name]
    (results,) = read_preferences(write(tmp_path / "x.jsonl", row))
    assert (results.prompt, results.chosen, results.rejected) == (prompt, "A", "B")
    assert results.tools == ([TOOL] if row.get("tools") else None)


BAD_PAIRS = {
    "a margin": (PAIR | {"prompt": "U", "margin": 2}, "'margin' says how much better"),
    "a passage": (PAIR | {"prompt": "U", "context": "長い文。"}, "'context' is text that the answer needs"),
    "another prompt": (PAIR | {"prompt": "U", "instruction": "V"}, "'instruction' says something beside"),
    "messages that are another conversation": (PAIR | {"prompt": "U", "messages": [USER, ANSWER | {"content": "C"}]}, "'messages' says something beside"),
    "reasoning": ({"prompt": "U", "chosen": [ANSWER | {"reasoning_content": "R"}], "rejected": "B"}, "chosen: 'reasoning_content' of an answer is not used"),
    "a call": ({"prompt": "U", "chosen": "A", "rejected": [CALLED[1]]}, "rejected: 'tool_calls' of an answer is not used"),
    "pictures": (PAIR | {"prompt": "U", "images": ["a.png"]}, "'images' pictures"),
    "a near miss": (PAIR | {"prompt": "U", "systm": "S"}, "'systm' is not read here; is it 'system'?"),
    "half a weight": (PAIR | {"prompt": "U", "weight": 0.5}, "'weight' is 0.5; 0 (not trained on) or 1"),
}


@pytest.mark.parametrize("name", BAD_PAIRS)
def test_what_is_refused_of_preferences(tmp_path: Path, name: str) -> None:
    row, message = BAD_PAIRS[name]
    path = write(tmp_path / "x.jsonl", PAIR | {"prompt": "U"}, row)
    with pytest.raises(InputError) as caught:
        read_preferences(path)
    assert str(caught.value).startswith(f"{path}:2: ")
    assert message in str(caught.value)


def test_pairs_of_weight_0_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", PAIR | {"prompt": "U"}, PAIR | {"prompt": "V", "weight": 0})
    assert [pair.prompt[0]["content"] for pair in read_preferences(path)] == ["U"]
    with pytest.raises(InputError, match="every pair has weight 0"):
        read_preferences(write(tmp_path / "y.jsonl", PAIR | {"prompt": "V", "weight": 0}))
