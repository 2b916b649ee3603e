"""Which of an item's checks an answer passes, as it stands ("strict") or with what often frames an answer taken away ("loose")."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import Any

from jp_adapt.benchmarks.checks import CHECKS


def passed(text: str, checks: Sequence[str], *, loose: bool = False) -> list[bool]:
    """Whether each check holds; `checks` are the texts that `jp_adapt.benchmarks.checks.check_texts` makes. Nothing holds of an empty answer.

    `loose` also tries the answer without its first line, its last one, both, and each of these without asterisks, as IFEval does (section 3 of arXiv
    2311.07911): a frame such as "Sure, here is ..." then costs nothing.
    """
    texts = [entry for entry in (_unframed(text) if loose else [text]) if entry.strip()]
    return [any(_holds(entry, check) for entry in texts) for check in checks]


def _unframed(text: str) -> list[str]:
    lines = text.split("\n")
    texts = [text, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))]
    return [*texts, *(entry.replace("*", "") for entry in texts)]


def _holds(text: str, check: str) -> bool:
    arguments: dict[str, Any] = json.loads(check)
    return _function(arguments.pop("check"))(text, **arguments)


@cache
def _function(name: str) -> Callable[..., bool]:
    function = CHECKS[name].function
    if callable(function):
        return function
    module, _, name = function.partition(":")
    return getattr(import_module(f"jp_adapt.evaluation.checks.{module}"), name)  # type: ignore[no-any-return]
