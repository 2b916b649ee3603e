"""Jinja templates and expressions of benchmark declarations: no access to anything but the fields, and a field that is not there is an error."""

from __future__ import annotations

import ast
import json
from functools import cache
from typing import TYPE_CHECKING, Any

from jp_adapt.core.errors import UsageError, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from jp_adapt.text.template_bounds import BoundedEnvironment

Fields = dict[str, Any]
MAX_SHOWN = 200  # characters of a template in a message


@cache
def environment() -> BoundedEnvironment:
    """The one environment; Jinja is loaded with the first template."""
    from jp_adapt.text.template_bounds import BoundedEnvironment

    found = BoundedEnvironment()
    found.add_filter("frompython", _from_python)
    found.add_filter("asjson", _as_json)
    return found


def _as_json(value: Any) -> str:
    """JSON as it is shown to a model: Jinja's own writes Japanese and quotes as escapes, for HTML."""
    return json.dumps(value, ensure_ascii=False)


def _from_python(text: str) -> Any:
    """A literal of Python, which tables of pandas hold lists as. ValueError where it is none."""
    try:
        return ast.literal_eval(text)
    except (SyntaxError, TypeError, RecursionError, MemoryError) as error:
        raise ValueError(f"not a literal of Python ({one_line(error)})") from error


@cache
def _template(text: str) -> Any:
    template = environment().from_string(text)
    template.globals = dict(template.globals)  # a ChainMap, which Jinja copies for every rendering: 217,000 of them took 7 of 9 seconds
    return template


@cache
def _expression(text: str) -> Any:
    return environment().compile_expression(text, undefined_to_none=False)


def checked_template(text: str) -> str:
    """`text` where it is a template. ValueError where it is none."""
    return _checked(text, _template, "template")


def checked_expression(text: str) -> str:
    """`text` where it is an expression. ValueError where it is none."""
    return _checked(text, _expression, "expression")


def _checked(text: str, compile_text: Callable[[str], Any], what: str) -> str:
    from jp_adapt.text.template_bounds import MAX_TEMPLATE

    if len(text) > MAX_TEMPLATE:
        raise ValueError(f"a Jinja {what} of {len(text):,} characters; at most {MAX_TEMPLATE:,} are read")
    try:
        compile_text(text)
    except Exception as error:  # Jinja's own, and Python's for what Jinja makes of it: nesting is RecursionError, MemoryError or SyntaxError by its kind
        raise ValueError(f"not a Jinja {what} ({_reason(error)})") from error
    return text


def render(template: str, fields: Fields) -> str:
    """A template filled in. UsageError for a template that cannot be filled from these fields."""
    environment().fill_purse()
    try:
        return str(_template(template).render(fields))
    except Exception as error:  # what an expression raises is anything that Python raises: ZeroDivisionError, LookupError, OverflowError, ...
        raise UsageError(f"template {_shown(template)} cannot be filled in ({_reason(error)}); fields: {_shown_names(fields)}") from error


def value_of(expression: str, fields: Fields) -> Any:
    """Value of a Jinja expression over the fields. UsageError where it has none."""
    from jinja2 import Undefined

    environment().fill_purse()
    try:
        value = _expression(expression)(fields)
    except Exception as error:  # as in `render`
        raise UsageError(f"expression {_shown(expression)} has no value ({_reason(error)}); fields: {_shown_names(fields)}") from error
    if isinstance(value, Undefined):
        raise UsageError(f"expression {_shown(expression)} has no value; fields: {_shown_names(fields)}")
    return value


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    text = one_line(error)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def _shown(text: str) -> str:
    return repr(text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}...")


def _shown_names(fields: Fields) -> str:
    names = ", ".join(sorted(map(str, fields)))
    return names if len(names) <= MAX_SHOWN else f"{names[:MAX_SHOWN]}..."
