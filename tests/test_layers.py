"""The floors of the house: a module imports only from floors below its own, and rooms on one floor are strangers."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "jp_adapt"
FLOORS = [{"core"}, {"recipe", "text"}, {"tokenizer", "corpus", "model", "merging"}, {"training", "evaluation", "export"}, {"pipeline"}, {"cli"}]
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
DOORS = {"__init__", "__main__"}  # jp_adapt/__init__.py names everything lazily, __main__.py starts the command
HEAVY = {"torch", "transformers", "peft", "safetensors", "accelerate"}
NO_TORCH = {"core", "recipe", "text", "tokenizer", "corpus", "cli"}


def imports(source: str) -> list[tuple[int, str]]:
    """(line, dotted module) of every import in a module, those inside functions and under TYPE_CHECKING too."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found += [(node.lineno, f"jp_adapt.{alias.name}") for alias in node.names] if module == "jp_adapt" else [(node.lineno, module)]
    return found


def breaches(room: str, source: str) -> list[str]:
    """What a module of `room` imports although it may not."""
    found = []
    for line, module in imports(source):
        if module.startswith("."):
            found.append(f"line {line}: relative import {module}; write jp_adapt.ROOM.MODULE")
        elif module.split(".")[0] == "jp_adapt":
            other = module.split(".")[1]
            if other not in LEVEL:
                found.append(f"line {line}: {module} is on no floor")
            elif other != room and LEVEL[other] >= LEVEL[room]:
                found.append(f"line {line}: {room} (floor {LEVEL[room]}) imports {module} (floor {LEVEL[other]})")
    return found


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] != "_shipped")


@pytest.mark.parametrize(
    ("room", "source", "message"),
    [
        ("core", "from jp_adapt.text.scripts import is_japanese", "core (floor 0) imports jp_adapt.text.scripts (floor 1)"),
        ("tokenizer", "def f():\n    import jp_adapt.model.rows", "line 2: tokenizer (floor 2) imports jp_adapt.model.rows (floor 2)"),
        ("recipe", "from jp_adapt import text", "recipe (floor 1) imports jp_adapt.text (floor 1)"),
        ("training", "if TYPE_CHECKING:\n    from jp_adapt.evaluation import bits", "training (floor 3) imports jp_adapt.evaluation (floor 3)"),
        ("cli", "from . import main", "relative import"),
        ("cli", "import jp_adapt.attic.x", "is on no floor"),
    ],
)
def test_a_breach_is_seen(room: str, source: str, message: str) -> None:
    assert message in "\n".join(breaches(room, source))


def test_what_is_allowed_is_no_breach() -> None:
    assert (
        breaches(
            "tokenizer",
            "import json\nfrom jp_adapt.core.errors import InputError\nfrom jp_adapt.tokenizer.learn import learn_tokens\nimport jp_adapt.text.scripts",
        )
        == []
    )


def test_every_room_has_a_floor() -> None:
    assert len(MODULES) > 40
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES}
    assert rooms - DOORS <= LEVEL.keys()
    assert {"core", "recipe", "text", "tokenizer", "corpus", "model", "training", "evaluation", "pipeline", "cli"} <= rooms


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_module_imports_only_from_floors_below(path: Path) -> None:
    parts = path.relative_to(PACKAGE).parts
    if len(parts) == 1:
        assert parts[0].removesuffix(".py") in DOORS, "no module beside the rooms"
        return
    source = path.read_text(encoding="utf-8")
    assert breaches(parts[0], source) == []
    if parts[0] in NO_TORCH:
        assert [module for _, module in imports(source) if module.split(".")[0] in HEAVY] == []


def test_the_floors_are_those_that_import_linter_holds() -> None:
    """pyproject.toml says the same thing to import-linter; neither may drift."""
    text = (PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("layers = "))
    declared = [{room.strip() for room in floor.split("|")} for floor in ast.literal_eval(line.removeprefix("layers = "))]
    there = {path.relative_to(PACKAGE).parts[0] for path in MODULES}
    assert declared[::-1] == [rooms & there for rooms in FLOORS]
