"""Jinja templates and expressions of benchmark declarations: no access to anything but the fields, and a field that is not there is an error."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from jp_adapt.core.errors import UsageError

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

Fields = dict[str, Any]


@cache
def environment() -> SandboxedEnvironment:
    """The sandbox. Text is taken as it is: trailing newlines stay, nothing is escaped. `fromjson` parses a field that holds JSON."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    sandbox = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    sandbox.filters["fromjson"] = json.loads
    return sandbox


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


def _checked(text: str, compile_text: Any, what: str) -> str:
    from jinja2 import TemplateSyntaxError

    try:
        compile_text(text)
    except TemplateSyntaxError as error:
        raise ValueError(f"not a Jinja {what} ({error.message})") from error
    return text


def render(template: str, fields: Fields) -> str:
    """A template filled in. UsageError for a template that cannot be filled from these fields."""
    from jinja2 import TemplateError

    try:
        return str(_template(template).render(fields))
    except (TemplateError, TypeError, ValueError) as error:
        raise UsageError(f"template {template!r} cannot be filled in ({error}); fields: {', '.join(sorted(fields))}") from error


def value_of(expression: str, fields: Fields) -> Any:
    """Value of a Jinja expression over the fields. UsageError where it has none."""
    from jinja2 import TemplateError, Undefined

    try:
        value = _expression(expression)(fields)
    except (TemplateError, TypeError, ValueError, KeyError) as error:
        raise UsageError(f"expression {expression!r} has no value ({error}); fields: {', '.join(sorted(fields))}") from error
    if isinstance(value, Undefined):
        raise UsageError(f"expression {expression!r} has no value; fields: {', '.join(sorted(fields))}")
    return value
