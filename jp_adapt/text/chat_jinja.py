"""Chat templates as `transformers` renders them (utils/chat_template_utils.py), on a fixed day, with a bound on the work, and with one error."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from jp_adapt.core.errors import one_line

if TYPE_CHECKING:
    from jinja2 import Template

    from jp_adapt.text.template_bounds import BoundedEnvironment

TEMPLATE_DATE = "26 Jul 2024"  # Llama-3.1's template writes a date into the system prompt, today's unless told otherwise; this is the one it falls back to
DATE_FORMAT = "%d %b %Y"
MAX_TEMPLATE = 200_000  # characters; the longest template of the hub has about 30,000
PURSE_OF_CHARACTER = 300  # what a rendering may take more for each character of its messages and tools
MAX_SHOWN = 300  # characters of a template's own words in a message
MORE_FILTERS = ("abs", "e", "escape", "indent", "safe")


class ChatError(ValueError):
    """A template does not do with a conversation what is asked of it; the message is a clause about the template."""


class _SaidError(Exception):
    """What a template tells with `raise_exception`."""


def render(
    jinja: str, messages: Sequence[Mapping[str, Any]], *, prompt: bool, tools: Sequence[Mapping[str, Any]] | None = None, date: str = TEMPLATE_DATE
) -> str:
    """The text of a conversation.

    Args:
        jinja: a chat template.
        messages: role, content and what else the template reads (tool_calls, reasoning_content, ...).
        prompt: whether the text continues with what stands before the next answer.
        tools: JSON schemas of the functions that the model may call.
        date: the day that templates get which ask for one, as "26 Jul 2024".

    Raises:
        ChatError: no Jinja template; the template raises, with its own words; or it takes more than its bound of steps and memory.
    """
    template = _template(jinja, date)
    template.environment.fill_purse(template.environment.purse + PURSE_OF_CHARACTER * _size([*messages, *(tools or [])]))
    try:
        return str(template.render(messages=list(messages), tools=tools, documents=None, add_generation_prompt=prompt, date_string=date))
    except _SaidError as error:
        raise ChatError(f"it refuses the conversation: {_shown(str(error))}") from error
    except Exception as error:  # what an expression raises is anything that Python raises: KeyError, ZeroDivisionError, OverflowError, ...
        raise ChatError(f"it fails: {_reason(error)}") from error


def checked_template(jinja: str) -> str:
    """`jinja`, checked to be a chat template that can be rendered within the bound. ChatError if it is not."""
    _template(jinja, TEMPLATE_DATE)
    return jinja


def _size(value: Any) -> int:
    """The number of characters of all texts in a JSON value, plus 2 for each entry."""
    size, waiting = 0, [value]
    while waiting:
        entry = waiting.pop()
        if isinstance(entry, str):
            size += len(entry)
        elif isinstance(entry, Mapping):
            size += 2 * len(entry)
            waiting += [*entry, *entry.values()]
        elif isinstance(entry, (list, tuple)):
            size += 2 * len(entry)
            waiting += entry
    return size


@lru_cache(maxsize=64)
def _template(jinja: str, date: str) -> Any:
    if len(jinja) > MAX_TEMPLATE:
        raise ChatError(f"it has {len(jinja):,} characters; at most {MAX_TEMPLATE:,} are read")
    try:
        template: Template = _environment(date).from_string(jinja)
    except Exception as error:  # Jinja's own, and Python's for what Jinja makes of it: nesting is RecursionError, MemoryError or SyntaxError by its kind
        raise ChatError(f"it is not a Jinja template that can be read here: {_reason(error)}") from error
    template.globals = dict(template.globals)  # a ChainMap, which Jinja copies for every rendering
    return template


@cache
def _environment(date: str) -> BoundedEnvironment:
    from jinja2 import Undefined, nodes
    from jinja2.ext import Extension, loopcontrols

    from jp_adapt.text.template_bounds import FILTERS, PURSE, STATEMENTS, BoundedEnvironment

    class Generation(Extension):
        """`{% generation %}`, which marks the answer for transformers' mask: what stands in it is written, as everything else."""

        tags = {"generation"}  # noqa: RUF012 (as Jinja declares it)

        def parse(self, parser: Any) -> list[nodes.Node]:
            next(parser.stream)
            body: list[nodes.Node] = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return body

    class ChatEnvironment(BoundedEnvironment):
        statements = (*STATEMENTS, nodes.Macro, nodes.Break, nodes.Continue)
        purse = PURSE

    day = datetime.strptime(date, DATE_FORMAT)

    def strftime_now(pattern: str) -> str:
        if re.search(r"[0-9]{3}", pattern):
            raise ValueError("a width of too many digits in strftime_now")
        return day.strftime(pattern)

    environment = ChatEnvironment(
        (*FILTERS, *MORE_FILTERS), undefined=Undefined, keep_trailing_newline=False, trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.add_filter("tojson", _to_json)
    environment.globals |= {"raise_exception": _raise_exception, "strftime_now": strftime_now}
    return environment


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, separators: Any = None, sort_keys: bool = False) -> str:
    if (isinstance(indent, (int, str)) and len(" " * indent if isinstance(indent, int) else indent) > 16) or any(len(part) > 16 for part in separators or ()):
        raise ValueError("tojson with an indent or a separator of more than 16 characters")
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise_exception(message: Any = "") -> None:
    raise _SaidError(str(message))


def _reason(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else _shown(f"{type(error).__name__}: {one_line(error)}")


def _shown(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."
