"""The pages of docs/reference, made from the code: `python -m tests.docs.reference` (or `make reference`) writes them."""

from __future__ import annotations

import argparse
import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterator
from typing import Any

import jp_adapt
from jp_adapt.cli.main import build_parser
from jp_adapt.commands.json_schema import KINDS, json_schema
from jp_adapt.core import errors
from tests.conftest import ROOT

FOLDER = ROOT / "docs" / "reference"
NOTE = "<!-- Made by `make reference` from the code. Change the code, not this page. -->"
UNBOUNDED = 1e6  # bounds as large as this are there so that numbers stay numbers, and no reader asks for them
TITLES = {
    "recipe": ("Recipe", "What a recipe of `jp-adapt run` may say. Paths are relative to the recipe's own file."),
    "corpus": ("Corpus recipe", "What a recipe of `jp-adapt corpus prepare` may say. Paths are relative to the recipe's own file."),
    "merge": ("Merge recipe", "What a recipe of `jp-adapt merge models` may say. Paths are relative to the recipe's own file."),
    "benchmark": ("Benchmark", "What a declaration of a benchmark (`eval/*/*.yaml`, or a file of your own) may say."),
    "suite": ("Suite", "What a suite of benchmarks (`eval/suites/*.yaml`) may say."),
    "judge": ("Judge", "What a declaration of a judge (`eval/judge/*.yaml`, or a file of your own) may say."),
}


def pages() -> dict[str, str]:
    """File name -> text of every page."""
    return {
        **{f"{kind}.md": declaration_page(kind) for kind in KINDS},
        "commands.md": commands_page(),
        "python.md": python_page(),
        "exit-codes.md": exit_codes_page(),
    }


def declaration_page(kind: str) -> str:
    """A table of keys for every part of a recipe or declaration."""
    schema = json_schema(kind)
    definitions = {name: next((choice for choice in part.get("anyOf", ()) if "properties" in choice), part) for name, part in schema["$defs"].items()}
    definitions = {name: part for name, part in definitions.items() if "properties" in part and not name.startswith("Extending")}
    top = schema if "properties" in schema else definitions.pop(schema["title"])
    title, about = TITLES[kind]
    lines = [f"# {title}", "", NOTE, "", *_prose(f"{about} `jp-adapt schema {kind}` prints the same as JSON Schema."), ""]
    if kind in ("recipe", "corpus"):
        lines += ["`extends: NAME` builds on a shipped recipe or a file: only what differs is said.", ""]
    lines += [*_keys(top), ""]
    order = [ref.rpartition("/")[2] for ref in re.findall(r'"\$ref": "([^"]+)"', json.dumps(top))]  # stages and parts, as the table above names them
    for name, part in sorted(definitions.items(), key=lambda item: (item[0] not in order, order.index(item[0]) if item[0] in order else 0)):
        lines += [f"## {_heading(name, part)}", "", *_prose(part.get("description", "")), "", *_keys(part), ""]
    return "\n".join(lines)


def _heading(name: str, part: dict[str, Any]) -> str:
    kind = part["properties"].get("kind", {}).get("const")
    return f"Stage `{kind}`" if name.endswith("Stage") else f"Step `{kind}`" if name.startswith("step ") else name


def _prose(text: str) -> list[str]:
    return [line for paragraph in text.split("\n\n") for line in [*textwrap.wrap(" ".join(paragraph.split()), 118, break_on_hyphens=False), ""]][:-1]


def _keys(part: dict[str, Any]) -> list[str]:
    rows = ["| key | type | default | what it is |", "|---|---|---|---|"]
    for name, key in part["properties"].items():
        if key.get("deprecated"):
            continue
        needed = name in part.get("required", ()) or (name == "license" and "anyOf" in part and "default" not in key)
        what = key.get("description") or ("kind of the " + ("step" if "sources" in part["properties"] and "start" not in part["properties"] else "stage"))
        rows.append(f"| `{name}` | {_cell(type_of(key))} | {'needed' if needed else _default(key)} | {_cell(what)} |")
    return rows


def _default(key: dict[str, Any]) -> str:
    value = key.get("default")
    if value in (None, "", [], {}):
        return "-"
    return f"`{_yaml(value)}`" if len(_yaml(value)) < 60 else "see below"


def _yaml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {_yaml(entry)}' for name, entry in value.items() if entry is not None)}}}"
    return f"{value:g}" if isinstance(value, float) else json.dumps(value) if isinstance(value, str) and not value.isprintable() else str(value)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def type_of(key: dict[str, Any]) -> str:
    """What may stand at a key, in words."""
    if key.get("$ref") == "#/$defs/JsonValue":
        return "any value"
    if "$ref" in key:
        return f"[{_short(key['$ref'])}](#{_anchor(key['$ref'])})"
    if "const" in key:
        return f"`{_yaml(key['const'])}`"
    if "enum" in key:
        return ", ".join(f"`{_yaml(value)}`" for value in key["enum"])
    for union in ("anyOf", "oneOf"):
        if union in key:
            return " or ".join(dict.fromkeys(type_of(choice) for choice in key[union] if choice.get("type") != "null"))
    if key.get("type") == "array":
        parts = key.get("prefixItems")
        return f"list of {len(parts)}: {', '.join(map(type_of, parts))}" if parts else f"list of {type_of(key.get('items', {}))}"
    if key.get("type") == "object":
        values = [*key.get("patternProperties", {}).values(), key.get("additionalProperties")]
        return f"name: {type_of(values[0])}" if isinstance(values[0], dict) else "mapping"
    names = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    return names.get(key.get("type", ""), "number, list of numbers, or list of {value, module, layers}") + _bounds(key)


def _bounds(key: dict[str, Any]) -> str:
    names = {"exclusiveMinimum": "above", "minimum": "at least", "exclusiveMaximum": "below", "maximum": "at most"}
    bounds = [f"{word} {key[name]:,g}" for name, word in names.items() if name in key and abs(key[name]) < UNBOUNDED]
    return f" ({', '.join(bounds)})" if bounds else ""


def _short(ref: str) -> str:
    name = ref.rpartition("/")[2]
    return name.removeprefix("step ") if name.startswith("step ") else name.removesuffix("Stage").lower() if name.endswith("Stage") else name


def _anchor(ref: str) -> str:
    name = ref.rpartition("/")[2]
    if name.startswith("step "):
        return f"step-{name.removeprefix('step ')}"
    return f"stage-{name.removesuffix('Stage').lower()}" if name.endswith("Stage") else name.lower()


def commands() -> Iterator[argparse.ArgumentParser]:
    """The parser of every command that does something, in the order of the help."""

    def walk(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
        inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        for action in inner:
            for child in action.choices.values():
                yield from walk(child)
        if not inner:
            yield parser

    return walk(build_parser())


def commands_page() -> str:
    lines = [
        "# Commands",
        "",
        NOTE,
        "",
        *_prose("`jp-adapt COMMAND --help` says the same. `jp-adapt --version` prints the version. Exit codes: [exit-codes.md](exit-codes.md)."),
        "",
    ]
    for parser in sorted(commands(), key=lambda parser: parser.prog):
        lines += [f"## {parser.prog}", "", *_prose(parser.description or ""), "", "| argument | default | what it is |", "|---|---|---|"]
        lines += [_argument(action) for action in parser._actions if action.dest != "help"]
        notes = re.split(r"\n\n(?=what to do)", parser.epilog or "")[0]
        lines += ["", *([*_prose(notes), ""] if notes else [])]
    return "\n".join(lines)


def _argument(action: argparse.Action) -> str:
    value = action.metavar if isinstance(action.metavar, str) else action.dest.upper() if action.choices is None else "|".join(map(str, action.choices))
    more = " ..." if action.nargs in ("+", "*") else ""
    if action.option_strings:
        name = ", ".join(f"`{option}`" for option in action.option_strings) + ("" if action.nargs == 0 else f" `{value}{more}`")
    else:
        name = f"`{action.dest if action.metavar is None and action.choices is None else value}{more}`"
    default = (
        "needed"
        if action.required and action.nargs != "*"
        else "-"
        if isinstance(action.default, bool) or action.default in (None, [], (), "")
        else f"`{action.default}`"
    )
    return f"| {_cell(name)} | {default} | {_cell((action.help or '').replace('%%', '%'))} |"


def exit_codes_page() -> str:
    found = [value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, errors.JpAdaptError)]
    lines = ["# Exit codes", "", NOTE, "", "The class is what Python raises (`jp_adapt.core.errors`); all of them are `jp_adapt.JpAdaptError`.", ""]
    lines += ["| code | class | what it means |", "|---|---|---|", "| 0 | - | Done. |"]
    return "\n".join([*lines, *(f"| {one.exit_code} | `{one.__name__}` | {_cell(inspect.getdoc(one) or '')} |" for one in found), ""])


def python_page() -> str:
    """Every public name of `jp_adapt`, read from its file: nothing is imported for it."""
    lines = ["# Python", "", NOTE, "", "`import jp_adapt` is quick: nothing is loaded before it is asked for. Every name below is `jp_adapt.NAME`.", ""]
    for name in jp_adapt.__all__:
        path = ROOT / "jp_adapt" / (jp_adapt._HOMES[name].replace(".", "/") + ".py")
        node = next(node for node in ast.parse(path.read_text(encoding="utf-8")).body if getattr(node, "name", None) == name)
        assert isinstance(node, ast.FunctionDef | ast.ClassDef)
        lines += [f"## {name}", "", "```python", *_signature(node), "```", "", *_docstring(ast.get_docstring(node) or "")]
    return "\n".join(lines)


def _signature(node: ast.FunctionDef | ast.ClassDef) -> list[str]:
    if isinstance(node, ast.ClassDef):
        bases = f"({', '.join(map(ast.unparse, node.bases))})" if node.bases else ""
        return [f"class {node.name}{bases}:", *(f"    {ast.unparse(entry)}" for entry in node.body if isinstance(entry, ast.AnnAssign | ast.Assign))]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""
    line = f"{node.name}({ast.unparse(node.args)}){returns}"
    if len(line) <= 118:
        return [line]
    arguments = re.split(r", (?=\w+\s*[:=]|\*)", ast.unparse(node.args))
    return [f"{node.name}(", *(f"    {argument}," for argument in arguments), f"){returns}"]


def _docstring(text: str) -> list[str]:
    """A docstring of Google's style as Markdown: its parts become lists."""
    lines: list[str] = []
    for paragraph in re.split(r"\n\n", text):
        head, _, rest = paragraph.partition("\n")
        if head in ("Args:", "Raises:", "Returns:", "Attributes:"):
            entries = re.findall(r"^    (?! )(.*(?:\n {5,}.*)*)", rest, flags=re.MULTILINE)
            lines += [head, ""]
            for entry in entries:
                named = re.match(r"([\w, *]+): ", entry)
                lines += textwrap.wrap(
                    f"- {'`' + named.group(1) + '`: ' + entry[named.end() :] if named else entry}", 118, subsequent_indent="  ", break_on_hyphens=False
                )
            lines.append("")
        else:
            lines += [*_prose(paragraph), ""]
    return lines


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text.rstrip("\n") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
