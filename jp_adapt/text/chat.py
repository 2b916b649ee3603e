"""Chat templates, and where in a rendered conversation the answers stand.

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
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

Message = dict[str, str]  # role, content, and for Alpaca data `input`
Render = Callable[[Sequence[Message], bool], str]  # (messages, whether the prompt of the next answer follows) -> text

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


class ChatError(ValueError):
    """A template does not do with a conversation what training needs."""


@dataclass(frozen=True)
class Segment:
    """A stretch of a rendered conversation: whether it carries loss, and whether the template wrote it (only there are special tokens special)."""

    text: str
    trained: bool
    from_template: bool


MARK = re.compile("\ue000[0-9]+[ci]\ue001")  # private-use characters, which no template and hardly a text holds


def segments(messages: Sequence[Message], render: Render, special_texts: Iterable[str]) -> list[Segment]:
    """Cut a rendered conversation into what the template wrote and what stood in the messages, and into what carries loss and what does not.

    Loss lies on every answer and on the token that ends it, and on nothing else. An answer begins where the prompt ends that `render` makes of the messages
    before it: what trains is what generation will see. This needs no `{% generation %}` marks in the template (most have none, and `transformers` then
    returns a mask of zeros).

    Args:
        messages: system (or none), then user and assistant in turn.
        special_texts: texts of the tokenizer's special tokens.

    Raises:
        ChatError: the template drops or changes a message, renders the beginning of a conversation otherwise when it goes on, or ends no answer with a
            special token (a model trained on it would not stop).
    """
    messages = [{key: value.strip() if key != "role" else value for key, value in message.items()} for message in messages]
    values: dict[str, str] = {}
    marked = [_mark(message, index, values) for index, message in enumerate(messages)]
    full = render(marked, False)
    if MARK.sub(lambda match: values[match[0]], full) != render(messages, False) or MARK.findall(full) != list(values):
        raise ChatError("it drops, moves or changes the text of a message")
    answers = list(_answers(marked, full, render, tuple(special_texts)))
    if not answers:
        raise ChatError("the conversation has no answer")
    return list(_cut(full, answers, values))


def _mark(message: Message, index: int, values: dict[str, str]) -> Message:
    marked = {"role": message["role"]}
    for key, letter in (("content", "c"), ("input", "i")):
        if message.get(key):
            marked[key] = f"\ue000{index}{letter}\ue001"
            values[marked[key]] = message[key]
    return marked


def _answers(marked: Sequence[Message], full: str, render: Render, special_texts: tuple[str, ...]) -> Iterator[tuple[int, int]]:
    """(start, end) in `full` of every answer with the token that ends it."""
    for index, message in enumerate(marked):
        if message["role"] != "assistant":
            continue
        prompt, turn = render(marked[:index], True), render(marked[: index + 1], False)
        if not (turn.startswith(prompt) and full.startswith(turn)) or message["content"] not in turn[len(prompt) :]:
            raise ChatError("it renders the beginning of a conversation otherwise when it goes on")
        end = len(turn.rstrip())
        if not turn[:end].endswith(special_texts):
            raise ChatError("it puts no special token after an answer, and a model trained on it would not stop")
        yield len(prompt), end


def _cut(full: str, answers: Sequence[tuple[int, int]], values: dict[str, str]) -> Iterator[Segment]:
    borders = {0, len(full), *(place for answer in answers for place in answer), *(place for match in MARK.finditer(full) for place in match.span())}
    places = sorted(borders)
    for start, end in pairwise(places):
        text = full[start:end]
        trained = any(begin <= start and end <= stop for begin, stop in answers)
        yield Segment(values.get(text, text), trained, text not in values)
