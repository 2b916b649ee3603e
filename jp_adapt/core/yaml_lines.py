"""YAML with places: every value knows its line, a repeated key is an error, and `1e-3` is a number."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from jp_adapt.core.errors import UsageError
from jp_adapt.core.files import read_text

Place = tuple[str, int]  # file, line
Key = tuple[str | int, ...]


@dataclass
class Document:
    """A parsed YAML file: plain values, and the place of each of them by its path of keys."""

    value: Any
    places: dict[Key, Place] = field(default_factory=dict)

    def place(self, key: Key) -> Place | None:
        """Place of the value at `key`, or of the nearest thing around it."""
        for length in range(len(key), -1, -1):
            if key[:length] in self.places:
                return self.places[key[:length]]
        return None


class _Loader(yaml.SafeLoader):
    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)  # type: ignore[no-untyped-call]
        except ValueError as error:  # a text that looks like a date and is none: 2024-13-45
            problem = f"{error}; put quotes around a text that looks like a date or a number"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error


# YAML 1.1 as PyYAML reads it takes `2e-4` for a string; YAML 1.2 and every user take it for a number.
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789"))


def load_yaml(path: Path) -> Document:
    """Parse one YAML file. UsageError with file:line for broken YAML and for repeated keys (all of them)."""
    return parse_yaml(read_text(path), str(path))


def parse_yaml(text: str, name: str) -> Document:
    """Parse YAML text; `name` stands for the file in messages."""
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        document = Document(None)
        problems: list[str] = []
        if node is not None:
            _walk(node, (), name, document.places, problems)
            if problems:
                raise UsageError("\n".join(problems))
            document.value = loader.construct_document(node)  # type: ignore[no-untyped-call]
        return document
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(f"{name}:{line}: not valid YAML ({error.problem})") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UsageError(f"{name}:{line}: not valid YAML (character U+{ord(text[error.position]):04X} is not allowed)") from error
    except RecursionError as error:
        raise UsageError(f"{name}:1: not valid YAML (an anchor holds itself, or the nesting is too deep)") from error
    finally:
        if loader is not None:
            loader.dispose()  # type: ignore[no-untyped-call]


def parse_scalar(text: str, name: str) -> Any:
    """The value that `text` would be in a recipe: `2e-4` a float, `[a, b]` a list, `x` a string. UsageError, after `name`, when it is no YAML."""
    try:
        return parse_yaml(text, "").value
    except UsageError as error:
        raise UsageError(f"{name}{str(error).removeprefix(':1')}") from error


def _walk(node: yaml.Node, key: Key, name: str, places: dict[Key, Place], problems: list[str]) -> None:
    places.setdefault(key, (name, node.start_mark.line + 1))
    if isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            text, line = str(key_node.value), key_node.start_mark.line + 1
            if text in first:
                problems.append(f"{name}:{line}: key '{text}' stands here and in line {first[text]}; keep one of them")
            first.setdefault(text, line)
            child = (*key, text)
            places[child] = (name, line)
            _walk(value_node, child, name, places, problems)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*key, index), name, places, problems)
