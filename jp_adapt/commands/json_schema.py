"""JSON Schema of everything that is written by hand: recipes, corpus recipes, merge recipes, benchmarks, suites, judges."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter

from jp_adapt.benchmarks.benchmark import Benchmark, Suite
from jp_adapt.benchmarks.judge import JudgeTask
from jp_adapt.commands.corpus_steps import STEPS
from jp_adapt.core.errors import InputError
from jp_adapt.core.files import read_json, write_json
from jp_adapt.core.progress import say
from jp_adapt.recipe.corpus import CorpusRecipe
from jp_adapt.recipe.merge import MergeRecipe
from jp_adapt.recipe.new_recipe import SCHEMA_FILE
from jp_adapt.recipe.schema import Recipe

DIALECT = "https://json-schema.org/draft/2020-12/schema"
KINDS: dict[str, type[BaseModel]] = {
    "recipe": Recipe,
    "corpus": CorpusRecipe,
    "merge": MergeRecipe,
    "benchmark": Benchmark,
    "suite": Suite,
    "judge": JudgeTask,
}
EXTENDS = {"type": "string", "description": "recipe that this one builds on: the name of a shipped recipe, or a path; only what differs is said here"}
USE = {"type": "string", "description": "shipped source declaration that this source starts from, as `jp-adapt list` names it"}


def json_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one of `KINDS`, as an editor or a validator takes it.

    It holds types, bounds, defaults and descriptions. Rules between keys, such as which stage may start from which, are checked by `jp-adapt check`.
    """
    schema = KINDS[kind].model_json_schema()
    definitions = schema.pop("$defs", {})
    if kind == "corpus":
        _allow_use(definitions["CorpusSource"])
        definitions |= {f"step {step}": _step(step) for step in STEPS}
        schema["properties"]["steps"]["items"] = {"oneOf": [{"$ref": f"#/$defs/step {step}"} for step in STEPS]}
    if kind in ("recipe", "corpus"):
        name = schema["title"]
        extending = {**schema, "properties": _relaxed(schema["properties"]) | {"extends": EXTENDS}, "required": ["extends"]}
        definitions |= {name: schema, f"Extending{name}": extending}
        choice = {"if": {"required": ["extends"]}, "then": {"$ref": f"#/$defs/Extending{name}"}, "else": {"$ref": f"#/$defs/{name}"}}
        schema = {"title": name, "type": "object", **choice}
    return {"$schema": DIALECT, **schema, "$defs": definitions}


def _relaxed(properties: dict[str, Any]) -> dict[str, Any]:
    """The top-level keys of a recipe that extends another: stages, sources and steps may be parts, which the parent completes."""
    parts = {"stages": {"type": "array", "items": {"type": "object", "required": ["id"]}}, "sources": {"type": "object"}}
    return properties | {key: part for key, part in parts.items() if key in properties}


def _step(kind: str) -> dict[str, Any]:
    """A step of a corpus recipe: its parameters with what its docstring says of them."""
    make: Any = STEPS[kind]
    schema = TypeAdapter(make).json_schema()
    notes = attribute_notes(inspect.getdoc(make) or "")
    properties = {name: value | ({"description": notes[name]} if name in notes else {}) for name, value in schema["properties"].items() if name != "name"}
    sources = {"type": "array", "items": {"type": "string"}, "minItems": 1, "description": "sources that the step is for; all by default"}
    own = {"kind": {"const": kind, "type": "string"}, "sources": sources}
    description = (inspect.getdoc(make) or "").split("\n\n")[0].replace("\n", " ")
    return {"type": "object", "description": description, "properties": own | properties, "required": ["kind"], "additionalProperties": False}


def attribute_notes(docstring: str) -> dict[str, str]:
    """Name -> what the "Attributes:" or "Args:" part of a docstring says of it, on one line."""
    part = re.search(r"^(?:Attributes|Args):\n((?:    .*\n?|\n)*)", docstring, flags=re.MULTILINE)
    entries = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", part.group(1) if part else "", flags=re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def _allow_use(source: dict[str, Any]) -> None:
    """A source that says `use: NAME` has what the declaration of that name says; only its own keys are written."""
    source["properties"]["use"] = USE
    source |= {"if": {"not": {"required": ["use"]}}, "then": {"required": source.pop("required")}}


def place_schema(kind: str, folder: Path) -> Path:
    """Write the schema of a kind into a folder, where the recipes of `init` and `copy` look for it; an older one is replaced, any other file is left."""
    path, schema = folder / SCHEMA_FILE.format(kind), json_schema(kind)
    if not path.exists() or _is_ours(path, schema):
        write_json(path, schema)
    else:
        say(f"note: {path} is none of jp-adapt's schemas and stays as it is; for completion: jp-adapt schema {kind}, under another name")
    return path


def _is_ours(path: Path, schema: dict[str, Any]) -> bool:
    """Whether a file is an older form of `schema`: the same keys and title, and some of its parts."""
    try:
        value = read_json(path)
    except InputError:  # none of ours, whatever it is
        return False
    same = isinstance(value, dict) and value.keys() == schema.keys() and value["title"] == schema["title"]
    return same and isinstance(value["$defs"], dict) and not schema["$defs"].keys().isdisjoint(value["$defs"])
