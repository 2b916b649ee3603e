"""What other programs wrote is parsed in one place: `json.loads` and `yaml.load` stand where their text is our own, and nowhere else."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "jp_adapt"

# module: why the text that it parses is our own
OWN_TEXTS = {
    "core/foreign_json.py": "the one place",
    "core/claim.py": "a value that was written a moment before, for its JSON types",
    "corpus/assemble.py": "parts of a corpus that is being prepared",
    "corpus/json_lines.py": "asks only whether a refused line would be JSON",
    "evaluation/checks/functions.py": "checks that their reader wrote as JSON",
    "evaluation/checks/shared.py": "asks only whether an answer is JSON",
    "evaluation/sandbox_child.py": "the order of `sandbox`, which has no package to import from",
    "export/llama_server.py": "an argument of its own command",
    "report/pages.py": "the Japanese words of this package",
}


def parsers(source: str) -> list[str]:
    """Calls of json.load, json.loads, yaml.load and yaml.safe_load."""
    calls = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    results = (ast.unparse(function) for function in calls if isinstance(function, ast.Attribute))
    return sorted({name for name in results if name in ("json.load", "json.loads", "yaml.load", "yaml.safe_load", "yaml.full_load", "yaml.unsafe_load")})


def test_a_parser_is_seen() -> None:
    assert parsers("import json, yaml\nx = json.loads(yaml.safe_load(y))\nparse_json(z)") == ["json.loads", "yaml.safe_load"]


def test_foreign_texts_are_parsed_in_one_place() -> None:
    results = {path.relative_to(PACKAGE).as_posix(): parsers(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")}
    assert {module for module, calls in results.items() if calls} == OWN_TEXTS.keys()
