"""Reading a summary of which any value may be missing, None, or of another type than the schema says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def at(value: Any, *keys: str) -> Any:
    """The value under `keys`, or None where any step of the way is missing."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def listed(value: Any, key: str) -> list[Any]:
    found = at(value, key)
    return list(found) if isinstance(found, (list, tuple)) else []


def mappings(value: Any, key: str) -> list[Mapping[str, Any]]:
    return [row for row in listed(value, key) if isinstance(row, Mapping)]
