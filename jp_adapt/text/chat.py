"""Chat templates, and where the answers are in a rendered conversation.

Templates are Jinja texts, as `tokenizer.apply_chat_template` takes them, so that what trains is what an exported model renders. Each is the published format:

- `alpaca-ja`: the Japanese Alpaca prompt (Stability-AI/gpt-neox finetune_base_ja.py, lm-evaluation-harness jp-stable prompt 0.3,
  rinna/nekomata-14b-instruction); several turns as in llm-jp-13b-instruct.
- `stable-beluga`: the format of the model card of stabilityai/StableBeluga2 (its code writes "### User: " on one line, its stated format, taken here,
  does not).
- `llama2-ja`: Meta's Llama-2 dialogue (llama/generation.py) with the system prompt and the space after [/INST] of elyza/ELYZA-japanese-Llama-2-7b-instruct.
- `llama3`: Meta's Llama-3 dialogue (llama3/tokenizer.py, ChatFormat).
- `chatml`: <|im_start|>role ... <|im_end|> (OpenAI's ChatML; SmolLM2-Instruct, Qwen).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

from jp_adapt.text.chat_jinja import TEMPLATE_DATE, ChatError, render

__all__ = ["TEMPLATES", "TEMPLATE_DATE", "ChatError", "ChatTemplate", "Message", "Render", "Segment", "render", "segments", "with_defaults"]

# role, content; for Alpaca data `input`; of an assistant also `reasoning_content`, `tool_calls`, and `weight`: 0, if it is not trained on
Message = dict[str, Any]
Render = Callable[..., str]  # (messages, whether the prompt of the next answer follows, tools where there are some) -> text

WITH_INPUT = "以下は、タスクを説明する指示と、文脈のある入力の組み合わせです。要求を適切に満たす応答を書きなさい。"
WITHOUT_INPUT = "以下は、タスクを説明する指示です。要求を適切に満たす応答を書きなさい。"
ALPACA_JA = (
    "{{ bos_token }}"
    "{% if messages[0]['role'] == 'system' %}{{ messages[0]['content'] }}{% set turns = messages[1:] %}{% else %}{% set turns = messages %}"
    f"{{% if turns[0]['input'] %}}{WITH_INPUT}{{% else %}}{WITHOUT_INPUT}{{% endif %}}{{% endif %}}"
    "{% for message in turns %}{% if message['role'] == 'user' %}{{ '\n\n### 指示:\n' + message['content'] }}"
    "{% if message['input'] %}{{ '\n\n### 入力:\n' + message['input'] }}{% endif %}"
    "{% else %}{{ '\n\n### 応答:\n' + message['content'] + eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '\n\n### 応答:\n' }}{% endif %}"
)
STABLE_BELUGA = (
    "{{ bos_token }}{% set names = {'system': 'System', 'user': 'User', 'assistant': 'Assistant'} %}"
    "{% for message in messages %}{{ '' if loop.first else '\n\n' }}{{ '### ' + names[message['role']] + ':\n' + message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '\n\n### Assistant:\n' }}{% endif %}"
)
LLAMA2 = (
    "{% if messages[0]['role'] == 'system' %}{% set head = '<<SYS>>\n' + messages[0]['content'] + '\n<</SYS>>\n\n' %}{% set turns = messages[1:] %}"
    "{% else %}{% set head = '' %}{% set turns = messages %}{% endif %}"
    "{% for message in turns %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + (head if loop.first else '') + message['content'] + ' [/INST] ' }}"
    "{% else %}{{ message['content'] + ' ' + eos_token }}{% endif %}{% endfor %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' + message['content'] + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@dataclass(frozen=True)
class ChatTemplate:
    """A published format: its Jinja text, the system prompt that goes with it, and the special tokens beside BOS and EOS that it needs."""

    jinja: str
    system: str | None = None
    tokens: tuple[str, ...] = ()
    takes_input: bool = False  # has a place of its own for Alpaca's `input`


TEMPLATES = {
    "alpaca-ja": ChatTemplate(ALPACA_JA, takes_input=True),
    "stable-beluga": ChatTemplate(STABLE_BELUGA, "This is a system prompt, please behave and help the user."),
    "llama2-ja": ChatTemplate(LLAMA2, "あなたは誠実で優秀な日本人のアシスタントです。"),
    "llama3": ChatTemplate(LLAMA3, None, ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")),
    "chatml": ChatTemplate(CHATML, None, ("<|im_start|>", "<|im_end|>")),
}


def with_defaults(jinja: str, *, bos: str | None, eos: str | None, system: str | None) -> str:
    """The template with its BOS, its EOS and its default system prompt written into it, so that it needs no other file."""
    lines = [f"{{% set {name} = {json.dumps(text, ensure_ascii=False)} %}}" for name, text in (("bos_token", bos), ("eos_token", eos)) if text is not None]
    if system is not None:
        message = f"{{'role': 'system', 'content': {json.dumps(system, ensure_ascii=False)}}}"
        lines.append(f"{{% if messages[0]['role'] != 'system' %}}{{% set messages = [{message}] + messages %}}{{% endif %}}")
    return "".join(lines) + jinja


@dataclass(frozen=True)
class Segment:
    """A stretch of a rendered conversation: whether it is trained on, and whether the template wrote it (special tokens count only in its text)."""

    text: str
    trained: bool
    from_template: bool


PARTS = {"content": "c", "input": "i", "reasoning_content": "r"}
MARK = re.compile("\ue000([0-9]+)([cirt])([0-9]*)\ue001")  # private-use characters, which no template and hardly a text holds
NEXT: Message = {"role": "user", "content": "\ue000\ue001"}  # any message that may follow an answer


def segments(messages: Sequence[Message], render: Render, special_texts: Iterable[str]) -> list[Segment]:
    """Split a rendered conversation by origin (template or message) and by whether it is trained on.

    Loss lies on every answer of the assistant (its reasoning and its calls of tools with it) and on the token that ends it, and on nothing else; not on one
    of weight 0. An answer begins where the prompt ends that `render` makes of the messages before it: what trains is what generation will see. This needs no
    `{% generation %}` marks in the template (most have none, and `transformers` then returns a mask of zeros).

    Args:
        messages: system (or none), then user (or tool) and assistant in turn.
        special_texts: texts of the tokenizer's special tokens.

    Raises:
        ChatError: the template refuses the conversation, drops or changes a part of a message, renders the beginning of a conversation otherwise when it goes
            on, or ends no answer with a special token (a model trained on it would not stop).
    """
    trained = [message.get("weight", 1) != 0 for message in messages]
    messages = [_stripped(message) for message in messages]
    values: dict[str, str] = {}
    marked = [_mark(message, index, values) for index, message in enumerate(messages)]
    full = render(marked, False)
    written = _written(full, render(messages, False), values)
    _check_parts([match[0] for match in MARK.finditer(full)], values)
    answers = list(_answers(marked, trained, full, render, tuple(special_texts)))
    if not answers:
        raise ChatError("the conversation has no answer")
    return list(_cut(full, answers, written))


def _stripped(message: Message) -> Message:
    """The message as the template gets it: no white space around texts, no weight."""
    stripped = {key: value.strip() if key in PARTS and isinstance(value, str) else value for key, value in message.items() if key != "weight"}
    return stripped | ({"thinking": stripped["reasoning_content"]} if stripped.get("reasoning_content") else {})  # as templates of gpt-oss name it


def _mark(message: Message, index: int, values: dict[str, str]) -> Message:
    """The message with a mark in place of every text; `values` gets what each stands for."""
    marked = dict(message)
    for key, letter in PARTS.items():
        if message.get(key):
            mark = f"\ue000{index}{letter}\ue001"
            marked[key], values[mark] = mark, message[key]
    if "thinking" in message:
        marked["thinking"] = marked["reasoning_content"]
    if message.get("tool_calls"):
        calls = [call["function"] for call in message["tool_calls"]]
        marked["tool_calls"] = [
            call | {"function": {"name": _mark_texts(function["name"], index, values), "arguments": _mark_texts(function["arguments"], index, values)}}
            for call, function in zip(message["tool_calls"], calls, strict=True)
        ]
    return marked


def _mark_texts(value: Any, index: int, values: dict[str, str]) -> Any:
    """A value of JSON with a mark in place of every text that is not empty."""
    if isinstance(value, dict):
        return {key: _mark_texts(inner, index, values) for key, inner in value.items()}
    if isinstance(value, list):
        return [_mark_texts(inner, index, values) for inner in value]
    if not isinstance(value, str) or not value:
        return value
    mark = f"\ue000{index}t{len(values)}\ue001"
    values[mark] = value
    return mark


def _written(marked: str, plain: str, values: Mapping[str, str]) -> list[str]:
    """What stands in `plain` for each mark of `marked`, in order: its text, as it is or as JSON writes it.

    ChatError where the two differ in anything else: then the template looks into a text, or changes it.
    """
    written: list[str] = []
    at = 0
    pieces = MARK.split(marked)  # text, then (index, letter, number, text) for each mark
    marks = [match[0] for match in MARK.finditer(marked)]
    for number, literal in enumerate(pieces[:: MARK.groups + 1]):
        if number:
            value = values.get(marks[number - 1], "")
            forms = dict.fromkeys((value, json.dumps(value, ensure_ascii=False)[1:-1]))
            form = next((entry for entry in forms if plain.startswith(entry + literal, at)), None)
            if form is None:
                raise ChatError("it drops, moves or changes the text of a message")
            written.append(form)
            at += len(form)
        elif not plain.startswith(literal):
            raise ChatError("it drops, moves or changes the text of a message")
        at += len(literal)
    if at != len(plain):
        raise ChatError("it drops, moves or changes the text of a message")
    return written


def _check_parts(marks: Sequence[str], values: Mapping[str, str]) -> None:
    """ChatError where a part of a message is not shown, or not once, or a message not in its turn. The texts of calls may come again, with their results."""
    shown = set(marks)
    for mark in values:
        match = MARK.match(mark)
        assert match is not None
        if mark not in shown and match[2] in "rt":
            raise ChatError(f"it does not show '{'reasoning_content' if match[2] == 'r' else 'tool_calls'}'")
    texts = [mark for mark in marks if "t" not in mark]
    order = [int(match[1]) for match in map(MARK.match, texts) if match is not None]
    if sorted(texts) != sorted(mark for mark in values if "t" not in mark) or order != sorted(order):
        raise ChatError("it drops, moves or changes the text of a message")


def _answers(marked: Sequence[Message], trained: Sequence[bool], full: str, render: Render, special_texts: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """(start, end) in `full` of every answer that is trained on, with the token that ends it."""
    for index, message in enumerate(marked):
        if message["role"] != "assistant" or not trained[index]:
            continue
        prompt = render(marked[:index], True)
        turn = _turn(marked[: index + 1], prompt, render, special_texts)
        own = {match[0] for match in MARK.finditer(turn[len(prompt) :])}
        wanted = {match[0] for match in MARK.finditer(json.dumps(message, ensure_ascii=False))}
        if not (turn.startswith(prompt) and full.startswith(turn)) or not wanted <= own:
            raise ChatError(
                "it renders the beginning of a conversation otherwise when it continues (a conversation whose one answer is its last message may be trained on)"
            )
        end = len(turn.rstrip())
        if not turn[:end].endswith(special_texts):
            raise ChatError("it puts no special token after an answer, and a model trained on it would not stop")
        yield len(prompt), end


def _turn(messages: Sequence[Message], prompt: str, render: Render, special_texts: tuple[str, ...]) -> str:
    """The text of messages, the last one an answer to `prompt`, without the generation prompt that some templates write though none is asked for (Llama-3's).

    That prompt ends `prompt`, too, and a message that follows does not begin as it does. It comes after the last special token that both share behind the
    answer and that opens no message.
    """
    turn = render(messages, False)
    behind = max((match.end() for match in MARK.finditer(turn)), default=len(turn))
    ends = [match for match in special_pattern(special_texts).finditer(turn, behind) if turn[match.end() :].strip() and prompt.endswith(turn[match.end() :])]
    if not ends or (continued := render([*messages, NEXT], False)).startswith(turn):
        return turn
    ends = [match for match in ends if continued.startswith(turn[: match.end()])]
    opening = _opening(render)
    closing = [match for match in ends if match[0] not in opening][-1:] or ends[:1]
    return turn[: closing[0].end()] if closing else turn


def _opening(render: Render) -> str:
    """What a template writes before the first text: a system prompt's where it takes one, as some templates have one of their own."""
    try:
        text = render([NEXT | {"role": "system"}, NEXT], False)
    except ChatError:
        text = render([NEXT], False)
    return text.partition(NEXT["content"])[0]


@cache
def special_pattern(texts: tuple[str, ...]) -> re.Pattern[str]:
    """Finds special tokens in a text, the longest where one begins another."""
    return re.compile("|".join(re.escape(text) for text in sorted(texts, key=len, reverse=True)) or r"(?!)")


def _cut(full: str, answers: Sequence[tuple[int, int]], written: Sequence[str]) -> Iterator[Segment]:
    marks = [match.span() for match in MARK.finditer(full)]
    texts = dict(zip(marks, written, strict=True))
    borders = {0, len(full), *(place for answer in answers for place in answer), *(place for mark in marks for place in mark)}
    for start, end in pairwise(sorted(borders)):
        trained = any(begin <= start and end <= stop for begin, stop in answers)
        yield Segment(texts.get((start, end), full[start:end]), trained, (start, end) not in texts)
