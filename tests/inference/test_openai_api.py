"""What requests in OpenAI's interface ask for. The replies are tested where they are served (tests/commands/test_eval_server.py)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from jp_adapt.core.errors import UsageError
from jp_adapt.inference.openai_api import Interface
from jp_adapt.inference.text_side import text_side


@pytest.fixture(scope="module")
def interface(pico: Path) -> Interface:
    return Interface(text_side(pico), "pico")


def test_what_is_scored(interface: Interface) -> None:
    """Without `echo` the answer alone, with it the whole text; nothing where nobody asks for log-probabilities."""
    for more, first, top in (({"logprobs": 2}, 3, 2), ({"logprobs": 0, "echo": True}, 1, 0), ({"prompt_logprobs": 1}, 1, 1), ({}, 3, None)):
        _, [work] = interface.completion_work({"prompt": [5, 6, 7], **more})
        assert (work.first, work.top, work.write.ids) == (first, top, [5, 6, 7])


def test_each_of_n_answers_is_drawn_by_its_own_seed(interface: Interface) -> None:
    _, work = interface.completion_work({"prompt": ["a", "b"], "n": 2, "seed": 7, "temperature": 0.5})
    assert [(entry.write.ids == work[0].write.ids, entry.write.draw.seed) for entry in work if entry.write.draw] == [
        (True, 7),
        (True, 8),
        (False, 7),
        (False, 8),
    ]
    _, unseeded = interface.completion_work({"prompt": "a", "n": 2})
    assert len({entry.write.draw.seed for entry in unseeded if entry.write.draw}) == 2


def test_a_chat_has_room_for_an_answer(interface: Interface) -> None:
    talk = [{"role": "user", "content": "Hi"}]
    _, [work] = interface.chat_work({"messages": talk})
    assert 0 < work.write.max_tokens == interface.positions - len(work.write.ids)
    _, [named] = interface.chat_work({"messages": talk, "max_completion_tokens": 9, "temperature": 0})
    assert named.write.max_tokens == 9
    assert named.write.draw is None
    assert not named.write.thinks


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"prompt": "a", "logit_bias": {"5": 1}}, "logit_bias: {'5': 1} is not done here"),
        ({"prompt": "a", "stream": True}, "stream: True is not done here"),
        ({"prompt": "a", "model": "gpt"}, "there is no model 'gpt' here; it is called 'pico'"),
        ({"prompt": [500]}, "the prompt has the id 500, and the tokenizer has 500 tokens"),
        ({"prompt": [1] * 505, "max_tokens": 8}, "maximum context length is 512 tokens; the prompt has 505, and 8 are asked for"),
        ({"prompt": "a", "ignore_eos": True}, "ignore_eos: True is not done here"),
        ({"prompt": "a", "stop_token_ids": [3]}, "stop_token_ids: [3] is not done here"),
        ({"prompt": [1, "a"]}, "prompt: give a text, a list of texts, the ids of a text"),
        ({"prompt": "a", "stop": [1]}, "stop: give a text, or a list of texts"),
        ({"prompt": []}, "prompt: is an empty list"),
        ({"prompt": ""}, "the prompt is empty"),
        ({"max_tokens": 3}, "prompt: Field required"),
        ({"prompt": "a", "temperature": -1}, "temperature: Input should be greater than or equal to 0"),
    ],
)
def test_refused(interface: Interface, body: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        interface.completion_work(body)


def test_refused_in_a_chat(interface: Interface) -> None:
    parts = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": "Hi"}]}]
    with pytest.raises(UsageError, match=r"messages\.1\.content: give a text; lists of parts"):
        interface.chat_work({"messages": parts})
    with pytest.raises(UsageError, match=r"chat_template_kwargs: .* is not done here"):
        interface.chat_work({"messages": parts[:1], "chat_template_kwargs": {"enable_thinking": False}})
