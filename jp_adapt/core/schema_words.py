"""What a schema finds wrong with a value, in the words of the file that holds it, and not in those of pydantic and Python."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jp_adapt.core.suggest import did_you_mean

MAPPING, LIST = "a mapping is needed here (key: value)", "a list is needed here"
_WHOLE, _NUMBER, _TEXT, _BOOL = "a whole number is needed", "a number is needed", "a text is needed", "true or false is needed"
_WORDS = {
    "missing": "the key is missing",
    "extra_forbidden": "unknown key",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": "a finite number is needed",
    "string_type": _TEXT,
    "bool_type": _BOOL,
    "bool_parsing": _BOOL,
    "dict_type": MAPPING,
    "model_type": MAPPING,
    "model_attributes_type": MAPPING,
    "dataclass_type": MAPPING,
    "list_type": LIST,
    "tuple_type": LIST,
}
_BOUNDS = {  # type -> (name of the bound in the error, how it is said)
    "greater_than": ("gt", "a number above {} is needed"),
    "greater_than_equal": ("ge", "a number of at least {} is needed"),
    "less_than": ("lt", "a number below {} is needed"),
    "less_than_equal": ("le", "a number of at most {} is needed"),
    "string_too_long": ("max_length", "a text of at most {} characters is needed"),
    "string_too_short": ("min_length", "a text of at least {} characters is needed"),
    "too_short": ("min_length", "at least {} entries are needed"),
    "too_long": ("max_length", "at most {} entries are allowed"),
}
_PATTERNS = {
    r"^[A-Za-z0-9][A-Za-z0-9_.-]*$": "a name is needed: letters of a to z, digits, '_', '.' and '-', with a letter or a digit first",
    r"^[\w][\w./-]*$": "a branch, a tag or a commit is needed: letters, digits, '_', '.', '/' and '-', with a letter or a digit first",
    r"^[0-9a-f]{40}$": "a commit is needed: 40 hex digits in lower case",
    r"^[0-9a-f]{64}$": "a SHA-256 is needed: 64 hex digits in lower case",
}


def what_is_needed(detail: Mapping[str, Any]) -> str:
    """The rule that a value breaks, as a clause, from one of the `errors()` of a pydantic ValidationError."""
    kind, context, given = detail["type"], detail.get("ctx") or {}, detail.get("input")
    if kind in _WORDS:
        return _WORDS[kind]
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        bound = context[name]
        return words.format(f"{bound:,}" if isinstance(bound, int) else f"{bound:g}").replace("least 1 entries are", "least one entry is")
    if kind == "literal_error":
        expected = str(context["expected"])
        near = did_you_mean(given, re.findall("'([^']*)'", expected)) if isinstance(given, str) else ""
        return f"{expected} is needed{near}"
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(context["pattern"], f"it must match {context['pattern']}")
    return str(detail["msg"]).removeprefix("Value error, ")
