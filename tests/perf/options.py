"""The options of a benchmark: `--name=VALUE` on the command line."""

from __future__ import annotations

import sys
from typing import TypeVar

Value = TypeVar("Value", int, float, str)


def option(name: str, default: Value) -> Value:
    """What `--name=VALUE` says, as a value of the default's type."""
    given = next((argument.partition("=")[2] for argument in sys.argv if argument.startswith(f"--{name}=")), None)
    return default if given is None else type(default)(given)
