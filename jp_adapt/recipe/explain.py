"""What is wrong with a document, in words: the value, the rule, the way out, and the line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from jp_adapt.benchmarks.part import Part
from jp_adapt.core.schema_words import LIST, MAPPING, what_is_needed
from jp_adapt.core.suggest import did_you_mean
from jp_adapt.core.yaml_lines import Document, Key
from jp_adapt.recipe import schema


def where(document: Document, key: Key) -> str:
    """The file:line of a key, or of the nearest thing around it."""
    file, line = document.place(key) or ("recipe", 1)
    return f"{file}:{line}" if line else file


def explain(document: Document, detail: Any, root: type[BaseModel] = schema.Recipe) -> tuple[Key, str]:
    """Turn one pydantic error into (path of keys, message that names the value, the rule and the way out)."""
    key = tuple(detail["loc"])
    if key[:1] == ("stages",) and key[2:3] and key[2] in schema.STAGES:  # pydantic puts the kind of a stage into the path; the file has no such key
        key = key[:2] + key[3:]
    dotted = _dotted(document, key) or "recipe"
    kind, given = detail["type"], detail.get("input")
    if kind == "extra_forbidden":
        return key, f"unknown key '{key[-1]}'{did_you_mean(str(key[-1]), _fields_at(document, key[:-1], root))}"
    if kind == "missing":
        return key[:-1], f"'{key[-1]}' is missing here; it has no default"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        value = given.get("kind") if isinstance(given, dict) else given
        return (*key, "kind"), f"stage kind is {value!r}{did_you_mean(str(value), schema.STAGES)}; kinds: {', '.join(schema.STAGES)}"
    rule = what_is_needed(detail)
    if rule in (MAPPING, LIST):
        rule += _example(key, given, _annotation_at(document, key, root), is_list=rule == LIST)
    return key, f"{dotted} is {short(given)}: {rule}" if not isinstance(given, dict) or rule.startswith(LIST) else f"{dotted}: {rule}"


def _dotted(document: Document, key: Key) -> str:
    """The path of keys as `-s` takes it: a stage is named by its id."""
    parts = list(key)
    if key[:1] == ("stages",) and len(key) > 1:
        stage = document.value["stages"][key[1]]
        name = stage.get("id") if isinstance(stage, dict) else None
        parts[1] = name if isinstance(name, str) and re.fullmatch(r"[\w.-]+", name) else key[1]
    return ".".join(map(str, parts))


def _example(key: Key, given: Any, annotation: Any, *, is_list: bool) -> str:
    """What to write at a key, where that can be told: "; write budget: {tokens: 20000}"."""
    choices = list(_choices(annotation))
    if is_list:
        entries = [choice for entry in choices if get_origin(entry) is list for choice in _choices(get_args(entry)[0])]
        entry = _model_example(entries) or (given if isinstance(given, str) and str in map(_bare, entries) else "")
        written = f"[{entry}]" if entry else ""
    else:
        written = _model_example(choices)
    name = f"{key[-1]}: " if key and isinstance(key[-1], str) else ""
    return f"; write {name}{written}" if written else ""


def _bare(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _model_example(choices: Sequence[Any]) -> str:
    models = [choice for choice in choices if isinstance(choice, type) and issubclass(choice, Part)]
    return models[0].EXAMPLE if len(models) == 1 else ""


def _annotation_at(document: Document, key: Key, root: type[BaseModel]) -> Any:
    """The type that the schema has for what stands at `key`."""
    kind, value, annotation = root, document.value, None
    for part in key:
        annotation, value = _inside(kind, part), value[part]
        kind = _kind_of(annotation, value)
    return annotation


def _fields_at(document: Document, key: Key, root: type[BaseModel]) -> list[str]:
    """Names that the schema allows at `key`, for "did you mean"."""
    kind, value = root, document.value
    for part in key:
        value = value[part]
        kind = _kind_of(_inside(kind, part), value)
    return list(getattr(kind, "model_fields", ()))


def _inside(kind: Any, part: str | int) -> Any:
    """The type of what stands at `part` in a value of type `kind`: a field of a model, or an entry of a mapping or a list."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind.model_fields[str(part)].annotation if part in kind.model_fields else None
    return (get_args(kind) or (None,))[-1]


def _kind_of(annotation: Any, value: Any) -> Any:
    """The model or container that `value` is meant to be, where the schema allows several; None where that cannot be told."""
    if isinstance(value, dict) and value.get("kind") in schema.STAGES:
        return schema.STAGES[value["kind"]]
    choices = list(_choices(annotation))
    models = [choice for choice in choices if isinstance(choice, type) and issubclass(choice, BaseModel)]
    if isinstance(value, dict) and models:
        return models[0] if len(models) == 1 else None
    return next((choice for choice in choices if isinstance(value, get_origin(choice) or ())), None)


def _choices(annotation: Any) -> Iterator[Any]:
    """The types that an annotation allows."""
    if get_origin(annotation) is Annotated:
        yield from _choices(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for entry in get_args(annotation):
            yield from _choices(entry)
    else:
        yield annotation


def short(value: Any) -> str:
    """A value as a message shows it."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
