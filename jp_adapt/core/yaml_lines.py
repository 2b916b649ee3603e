"""YAML with places and bounds: every value knows its line, a repeated key is an error, `1e-3` is a number, and no file can exhaust time or memory.

An alias gives a copy of its value, so that changing a setting in one place does not change it in another. The expansion of aliases is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from jp_adapt.core.errors import UsageError
from jp_adapt.core.files import read_text

MAX_BYTES = 2**18  # of a file: PyYAML reads some 40 kB of short values a second
MAX_DEPTH = 40
MAX_VALUES = 20_000  # with every alias written out
MAX_DIGITS = 100  # of a number as it is written

VALUES = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "seq", "map", "merge"))  # what JSON has, too

_LIBYAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same events in a tenth of the time, where PyYAML was built with it
READ_OTHERWISE = re.compile("[\t!?\ufeff]|^---|[|>][0-9+-]*#", re.MULTILINE)  # what libyaml takes that PyYAML does not, or takes for something else

Place = tuple[str, int]  # file, line
Key = tuple[str | int, ...]


@dataclass
class Document:
    """A parsed YAML file: plain values, and the place of each by its path of keys."""

    value: Any
    places: dict[Key, Place] = field(default_factory=dict)

    def place(self, key: Key) -> Place | None:
        """Place of the value at `key`, or of the nearest thing around it."""
        for length in range(len(key), -1, -1):
            if key[:length] in self.places:
                return self.places[key[:length]]
        return None


class _Bounded(Composer, SafeConstructor, Resolver):
    """The values of a parser's events, within bounds."""

    parser: type[Any]
    peek_event: Any  # of the parser

    def __init__(self, text: str) -> None:
        Composer.__init__(self)  # type: ignore[no-untyped-call]
        self.parser.__init__(self, text)
        self._composed = 0
        self._around: list[str | None] = []  # the anchors of the values that stand around this one, None for those without

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) and event.anchor in self._around:
            raise yaml.composer.ComposerError(None, None, f"the anchor '{event.anchor}' holds itself", event.start_mark)  # type: ignore[arg-type]
        if len(self._around) > MAX_DEPTH:
            raise yaml.composer.ComposerError(None, None, f"nested deeper than {MAX_DEPTH} levels", event.start_mark)  # type: ignore[arg-type]
        self._composed += 1
        if self._composed > MAX_VALUES:
            raise yaml.composer.ComposerError(None, None, f"more than {MAX_VALUES:,} values", event.start_mark)  # type: ignore[arg-type]
        self._around.append(event.anchor if not isinstance(event, yaml.AliasEvent) else None)
        node: yaml.Node | None = super().compose_node(parent, index)  # type: ignore[no-untyped-call]
        self._around.pop()
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)  # type: ignore[no-untyped-call]
        except (ValueError, OverflowError) as error:  # a text that looks like a date and is none: 2024-13-45
            problem = f"{error}; put quotes around a text that looks like a date or a number"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error


class _Loader(_Bounded, yaml.SafeLoader):
    parser = yaml.SafeLoader


class _FastLoader(_Bounded, _LIBYAML):  # type: ignore[misc, valid-type]
    parser = _LIBYAML


# YAML 1.1 as PyYAML reads it takes `2e-4` for a string; YAML 1.2 and every user take it for a number.
_Bounded.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?[eE][-+]?[0-9]+$"), list("-+0123456789"))


def load_yaml(path: Path) -> Document:
    """Parse one YAML file. UsageError with file:line for broken YAML, for repeated keys (all of them) and for what is over a bound."""
    return parse_yaml(read_text(path, MAX_BYTES), str(path))


def parse_yaml(text: str, name: str) -> Document:
    """Parse YAML text; `name` stands for the file in messages."""
    if not READ_OTHERWISE.search(text):
        with suppress(Exception):  # whatever it is, PyYAML's own parser tells of it, with its place
            fast = _FastLoader(text)
            return _document(fast, fast.get_single_node(), name)  # type: ignore[no-untyped-call]
    loader = None
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()  # type: ignore[no-untyped-call]
        except (ValueError, OverflowError) as error:  # PyYAML's `chr` of an escape
            line = loader.get_mark().line + 1  # type: ignore[no-untyped-call]
            raise UsageError(f"{name}:{line}: not valid YAML (an escape for a character that Unicode does not have)") from error
        return _document(loader, node, name)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(f"{name}:{line}: not valid YAML ({error.problem})") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UsageError(f"{name}:{line}: not valid YAML (character U+{ord(text[error.position]):04X} is not allowed)") from error
    finally:
        if loader is not None:
            loader.dispose()  # type: ignore[no-untyped-call]


def _document(loader: _Bounded, node: yaml.Node | None, name: str) -> Document:
    if node is None:
        return Document(None)
    places = dict(_places(node, name))
    return Document(_own(loader.construct_document(node)), places)  # type: ignore[no-untyped-call]


def parse_scalar(text: str, name: str) -> Any:
    """The value that `text` would be in a recipe: `2e-4` a float, `[a, b]` a list, `x` a string. UsageError, after `name`, when it is no YAML."""
    try:
        return parse_yaml(text, "").value
    except UsageError as error:
        raise UsageError(f"{name}{str(error).removeprefix(':1')}") from error


def _places(root: yaml.Node, name: str) -> Iterator[tuple[Key, Place]]:
    """The place of every value. UsageError listing all repeated keys and wrong texts, or if aliases expand to too much."""
    problems: list[str] = []
    waiting: list[tuple[yaml.Node, Key]] = [(root, ())]
    count = 0
    while waiting:
        node, key = waiting.pop()
        count += 1
        if count > MAX_VALUES:
            raise UsageError(f"{name}:{node.start_mark.line + 1}: more than {MAX_VALUES:,} values, with every alias written out")
        if not key or isinstance(key[-1], int):
            yield key, (name, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            first: dict[str, int] = {}
            for key_node, value_node in node.value:
                text, line = str(key_node.value), key_node.start_mark.line + 1
                if text in first:
                    problems.append(f"{name}:{line}: key '{text}' stands here and in line {first[text]}; keep one of them")
                first.setdefault(text, line)
                problems += _wrong(key_node, name, "the key ")
                yield (*key, text), (name, line)
                waiting.append((value_node, (*key, text)))
        elif isinstance(node, yaml.SequenceNode):
            waiting += [(item, (*key, index)) for index, item in enumerate(node.value)]
        problems += _wrong(node, name)
    if problems:
        raise UsageError("\n".join(sorted(problems, key=lambda problem: int(problem.removeprefix(f"{name}:").partition(":")[0]))))


def _wrong(node: yaml.Node, name: str, what: str = "") -> Iterator[str]:
    """What is wrong with a single value, or a key, as it is written."""
    place = f"{name}:{node.start_mark.line + 1}"
    kind = str(node.tag).removeprefix("tag:yaml.org,2002:")
    if isinstance(node, yaml.ScalarNode):
        odd = re.search("[\0\ud800-\udfff]", node.value)
        if odd is not None:
            yield f"{place}: holds the character U+{ord(odd.group()):04X}, which stands in no text"
        if kind in ("int", "float") and len(node.value) > MAX_DIGITS:
            yield f"{place}: a number of {len(node.value):,} characters; at most {MAX_DIGITS} are read"
        elif kind == "timestamp" or (what and kind not in ("str", "merge")):
            read_as = {"timestamp": "date", "int": "number", "float": "number", "bool": "truth value", "null": "nothing"}.get(kind, kind)
            yield f"{place}: {what}'{node.value}' is read as a {read_as}; put quotes around a text that looks like one"
    if node.tag not in VALUES and kind != "timestamp":
        yield f"{place}: not valid YAML ('{node.tag}' is not a kind of value that is read here)"


def _own(value: Any) -> Any:
    """The value, with each alias replaced by a copy."""
    if isinstance(value, dict):
        return {key: _own(item) for key, item in value.items()}
    return [_own(item) for item in value] if isinstance(value, list) else value
