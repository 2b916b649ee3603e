"""Rows of chat data to messages: messages, ShareGPT's conversations, Alpaca's fields, with what may stand beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jp_adapt.core.errors import InputError
from jp_adapt.core.foreign_json import parse_json
from jp_adapt.corpus.record_fields import Fields, is_absent
from jp_adapt.text.chat import Message

SHAREGPT = {"system": "system", "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant"}
TOOL_ROLES = {"tool": "tool", "observation": "tool", "function_call": "function_call"}
SHAPES = "'messages' (role and content), 'conversations' (from and value), or 'instruction', 'input' and 'output'"
ROW_FIELDS = ("system", "tools", "weight", "train")
TRAINED = ("weight", "train", "training", "loss")  # of a message: OpenAI's, axolotl's, ms-swift's names for whether it is trained on
REASONING = ("reasoning_content", "reasoning", "thinking")  # as transformers takes them for one
CALL_FIELDS = ("id", "type", "index", "function", "name", "arguments")


def read_row(record: Mapping[str, Any], place: str, fields: Fields) -> tuple[list[Message], list[dict[str, Any]] | None]:
    """The messages of a row of chat data, and its tools.

    An assistant message that is not to be trained on has the weight 0.

    Raises:
        InputError: at `place`, for a row that is of no known shape, holds a field that is neither used nor a note, or whose messages are out of turn.
    """
    own: tuple[str, ...]
    if "messages" in record:
        own, messages = ("messages",), read_turns(record["messages"], "role", "content", place, fields)
    elif "conversations" in record:
        own, messages = ("conversations",), read_turns(record["conversations"], "from", "value", place, fields)
    elif "instruction" in record and "output" in record:
        answer = {"role": "assistant", "content": text_of(record, "output", place)}
        own, messages = ("instruction", "input", "output", "history"), [*history_of(record, place), asked(record, place), answer]
    else:
        raise InputError(f"{place}: no conversation; a line has {SHAPES}, and this one has {', '.join(map(repr, record)) or 'nothing'}")
    messages = with_system(record, messages, place)
    repeated = tuple(name for name in ("prompt", "instruction") if record.get(name) in [message["content"] for message in messages])  # as UltraChat has it
    fields.check(record, (*own, *repeated, *ROW_FIELDS), place)
    if not is_trained(record, ("weight", "train"), place):
        messages = [message | {"weight": 0} if message["role"] == "assistant" else message for message in messages]
    check_turns(messages, place)
    return messages, tools_of(record, place)


def asked(record: Mapping[str, Any], place: str) -> Message:
    """The user's message of Alpaca's fields."""
    message = {"role": "user", "content": text_of(record, "instruction", place)}
    return message if is_absent(record.get("input")) else message | {"input": text_of(record, "input", place)}


def history_of(record: Mapping[str, Any], place: str) -> list[Message]:
    """Alpaca's `history`: pairs of what was asked and answered before. Its answers are trained on, as in LLaMA-Factory."""
    history = record.get("history")
    if is_absent(history):
        return []
    if not isinstance(history, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in history):
        raise InputError(f"{place}: 'history' is not a list of pairs [asked, answered]; mend the line")
    results: list[Message] = []
    for number, pair in enumerate(history, start=1):
        named = {"asked": pair[0], "answered": pair[1]}
        results += [
            {"role": role, "content": text_of(named, key, f"{place}: history {number}")} for role, key in (("user", "asked"), ("assistant", "answered"))
        ]
    return results


def with_system(record: Mapping[str, Any], messages: list[Message], place: str) -> list[Message]:
    """The messages after the row's own `system`. InputError where they begin with another one."""
    if is_absent(record.get("system")):
        return messages
    system = {"role": "system", "content": text_of(record, "system", place)}
    if messages and messages[0]["role"] == "system":
        if messages[0]["content"].strip() != system["content"].strip():
            raise InputError(f"{place}: 'system' and the first message are two system prompts; keep one of them")
        return messages
    return [system, *messages]


def tools_of(record: Mapping[str, Any], place: str) -> list[dict[str, Any]] | None:
    """The row's `tools` as a list, also where it is JSON in a text (as LLaMA-Factory has it); each as {"type": "function", "function": {...}}."""
    tools = record.get("tools")
    if isinstance(tools, str) and tools.strip():
        tools = parse_json(tools, f"{place}: 'tools'")
    if is_absent(tools):
        return None
    results = []
    for number, tool in enumerate(tools if isinstance(tools, list) else [None], start=1):
        function = tool.get("function", tool) if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise InputError(
                f"{place}: 'tools': number {number} is not a function with a name; give a list of {{'type': 'function', 'function': {{'name': ...}}}}"
            )
        results.append(tool if "function" in tool else {"type": "function", "function": tool})
    return results


def read_turns(value: Any, role_key: str, text_key: str, place: str, fields: Fields) -> list[Message]:
    """A list of messages; `role_key` and `text_key` are their fields."""
    if not isinstance(value, list) or not all(isinstance(turn, dict) for turn in value):
        raise InputError(f"{place}: the messages are not a list of objects with '{role_key}' and '{text_key}'")
    return [_turn(turn, role_key, text_key, f"{place}: message {number}", fields) for number, turn in enumerate(value, start=1)]


def _turn(turn: Mapping[str, Any], role_key: str, text_key: str, place: str, fields: Fields) -> Message:
    roles = SHAREGPT | TOOL_ROLES
    role = roles.get(str(turn.get(role_key)))
    if role is None:
        raise InputError(f"{place}: {role_key} is {turn.get(role_key)!r}; one of {', '.join(roles)}")
    more = {"assistant": ("tool_calls", *REASONING), "tool": ("tool_call_id", "name")}.get(role, ())
    _refuse_misplaced(turn, role, more, place)
    fields.check(turn, (role_key, text_key, *TRAINED, *more), place)
    trained = is_trained(turn, TRAINED, place)
    if role not in ("assistant", "function_call"):
        if trained and any(not is_absent(turn.get(name)) for name in TRAINED):
            raise InputError(f"{place}: is of '{role}' and asks to be trained on, and loss lies on answers alone; take its weight out, or set it to 0")
        message = {"role": role, "content": text_of(turn, text_key, place)}
        return message | {name: str(turn[name]) for name in more if not is_absent(turn.get(name))}
    message = _answer(turn, text_key, place) if role == "assistant" else _function_call(turn, text_key, place)
    return message if trained else message | {"weight": 0}


def _refuse_misplaced(turn: Mapping[str, Any], role: str, more: tuple[str, ...], place: str) -> None:
    for name in ("tool_calls", "tool_call_id", "name", *REASONING):
        if name not in more and not is_absent(turn.get(name)):
            why = "who speaks is not shown by templates" if name == "name" else f"a message of '{role}' has none"
            raise InputError(f"{place}: '{name}' is not used here: {why}; take it out, or write it into the text")


def _answer(turn: Mapping[str, Any], text_key: str, place: str) -> Message:
    calls = turn.get("tool_calls")
    reasoning = [str(turn[name]) for name in REASONING if isinstance(turn.get(name), str) and turn[name].strip()]
    if len(set(reasoning)) > 1 or any(not is_absent(turn.get(name)) and not isinstance(turn[name], str) for name in REASONING):
        raise InputError(f"{place}: {', '.join(REASONING)} are names of one text, and here they are more; keep one")
    content = "" if not is_absent(calls) and is_absent(turn.get(text_key)) else text_of(turn, text_key, place)
    message: Message = {"role": "assistant", "content": content}
    if reasoning:
        message["reasoning_content"] = reasoning[0]
    if not is_absent(calls):
        if not isinstance(calls, list):
            raise InputError(f"{place}: 'tool_calls' is not a list of calls")
        message["tool_calls"] = [_call(call, f"{place}: call {number}") for number, call in enumerate(calls, start=1)]
    return message


def _function_call(turn: Mapping[str, Any], text_key: str, place: str) -> Message:
    """ShareGPT's function_call (LLaMA-Factory): the calls as JSON in the text."""
    calls = parse_json(text_of(turn, text_key, place), f"{place}: '{text_key}'")
    calls = calls if isinstance(calls, list) else [calls]
    return {"role": "assistant", "content": "", "tool_calls": [_call(call, f"{place}: call {number}") for number, call in enumerate(calls, start=1)]}


def _call(call: Any, place: str) -> dict[str, Any]:
    """A call as templates take it: {"type": "function", "function": {"name", "arguments" as an object}}, with its id where it has one."""
    function = call.get("function", call) if isinstance(call, dict) else None
    arguments = function.get("arguments", {}) if isinstance(function, dict) else None
    if isinstance(arguments, str):
        arguments = parse_json(arguments or "{}", f"{place}: 'arguments'")
    if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not isinstance(arguments, dict):
        raise InputError(f"{place}: no function with a name and an object of arguments")
    unknown = [name for name in {**call, **function} if name not in CALL_FIELDS]
    if unknown:
        raise InputError(f"{place}: '{unknown[0]}' is not read in a call; it has {', '.join(CALL_FIELDS)}")
    return ({"id": str(call["id"])} if call.get("id") else {}) | {"type": "function", "function": {"name": function["name"], "arguments": arguments}}


def is_trained(record: Mapping[str, Any], names: tuple[str, ...], place: str) -> bool:
    """Whether a row or message is to be trained on, by its `weight` or another of `names`: 0 and false say no, 1 and true yes."""
    said = {name: record[name] for name in names if not is_absent(record.get(name))}
    for name, value in said.items():
        if not isinstance(value, (bool, int, float)) or value not in (0, 1):
            raise InputError(
                f"{place}: '{name}' is {value!r}; 0 (not trained on) or 1, and how often a source is read is said by its weight in the recipe, for all its rows"
            )
    if len({bool(value) for value in said.values()}) > 1:
        raise InputError(f"{place}: {' and '.join(map(repr, said))} contradict each other; keep one")
    return all(said.values())


def check_turns(messages: list[Message], place: str) -> None:
    """InputError where the messages are out of turn: system (or none), then user and assistant, calls being answered by tools."""
    due: tuple[str, ...] = ("user",)
    for number, message in enumerate(messages, start=1):
        role = message["role"]
        if number == 1 and role == "system":
            continue
        if role not in due:
            raise InputError(
                f"{place}: message {number} is of '{role}', and {' or '.join(map(repr, due))} is due; after a system message, user and assistant alternate"
            )
        due = {"user": ("assistant",), "tool": ("assistant", "tool"), "assistant": ("tool",) if message.get("tool_calls") else ("user",)}[role]
    if not messages or messages[-1]["role"] != "assistant":
        raise InputError(f"{place}: the last message is not an answer, so there is nothing to learn after it; end with an assistant message")


def text_of(record: Mapping[str, Any], key: str, place: str) -> str:
    """A text of a record that must not be empty; also where it is a list of one text, as OpenAI's content parts are."""
    text = record.get(key)
    if isinstance(text, list) and len(text) == 1 and isinstance(text[0], dict) and set(text[0]) == {"type", "text"} and text[0]["type"] == "text":
        text = text[0]["text"]
    if isinstance(text, list) and text:
        raise InputError(f"{place}: '{key}' is a list of parts, and one text is read; join its texts, or take the record out where it holds pictures")
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"{place}: '{key}' is {'empty' if text == '' or isinstance(text, str) else repr(text)}, and text is needed")
    return text
