"""The floors of the house: a module imports only from floors below its own, and rooms on one floor are strangers."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "jp_adapt"
FLOORS = [
    {"core"},
    {"text"},
    {"tokenizer", "corpus", "model", "merging", "benchmarks"},
    {"inference"},
    {"training", "evaluation", "export", "recipe"},
    {"report"},
    {"commands"},
    {"pipeline"},
    {"ui"},
    {"cli"},
]
LEVEL = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
DOORS = {"__init__", "__main__"}  # jp_adapt/__init__.py names everything lazily, __main__.py starts the command
HEAVY = {"torch", "transformers", "peft", "safetensors", "accelerate"}
NO_TORCH = {"core", "recipe", "text", "benchmarks", "tokenizer", "corpus", "report", "cli", "ui"}
# What AutoTokenizer makes of a folder is a criterion of the build, and can only be seen by loading it: when the criterion is checked, and never before.
IN_FUNCTIONS = {"tokenizer/auto.py": {"transformers"}}


def imports(source: str) -> list[tuple[int, str]]:
    """(line, dotted module) of every import in a module, those inside functions and under TYPE_CHECKING too."""
    results = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            results += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            results += [(node.lineno, f"jp_adapt.{alias.name}") for alias in node.names] if module == "jp_adapt" else [(node.lineno, module)]
    return results


def at_the_top(source: str) -> list[str]:
    """Modules that are imported with a module, and not only when one of its functions is called."""
    outside = ast.Module([node for node in ast.parse(source).body if not isinstance(node, ast.FunctionDef | ast.ClassDef)], [])
    return [module for _, module in imports(ast.unparse(outside))]


def breaches(room: str, source: str) -> list[str]:
    """What a module of `room` imports although it may not."""
    results = []
    for line, module in imports(source):
        if module.startswith("."):
            results.append(f"line {line}: relative import {module}; write jp_adapt.ROOM.MODULE")
        elif module.split(".")[0] == "jp_adapt":
            other = module.split(".")[1]
            if other not in LEVEL:
                results.append(f"line {line}: {module} is on no floor")
            elif other != room and LEVEL[other] >= LEVEL[room]:
                results.append(f"line {line}: {room} (floor {LEVEL[room]}) imports {module} (floor {LEVEL[other]})")
    return results


MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.relative_to(PACKAGE).parts[0] != "_shipped")


@pytest.mark.parametrize(
    ("room", "source", "message"),
    [
        ("core", "from jp_adapt.text.scripts import is_japanese", "core (floor 0) imports jp_adapt.text.scripts (floor 1)"),
        ("tokenizer", "def f():\n    import jp_adapt.model.rows", "line 2: tokenizer (floor 2) imports jp_adapt.model.rows (floor 2)"),
        ("recipe", "from jp_adapt import training", "recipe (floor 4) imports jp_adapt.training (floor 4)"),
        ("training", "if TYPE_CHECKING:\n    from jp_adapt.evaluation import run", "training (floor 4) imports jp_adapt.evaluation (floor 4)"),
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
    assert LEVEL.keys() - {"merging"} <= rooms


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_module_imports_only_from_floors_below(path: Path) -> None:
    parts = path.relative_to(PACKAGE).parts
    if len(parts) == 1:
        assert parts[0].removesuffix(".py") in DOORS, "no module beside the rooms"
        return
    source = path.read_text(encoding="utf-8")
    assert breaches(parts[0], source) == []
    if parts[0] in NO_TORCH:
        allowed = IN_FUNCTIONS.get("/".join(parts), set())
        assert [module for _, module in imports(source) if module.split(".")[0] in HEAVY - allowed] == []
        assert [module for module in at_the_top(source) if module.split(".")[0] in HEAVY] == []


def test_the_floors_are_those_that_import_linter_holds() -> None:
    """pyproject.toml says the same thing to import-linter; neither may drift."""
    text = (PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8")
    line = next(line for line in text.splitlines() if line.startswith("layers = "))
    declared = [{room.strip() for room in floor.split("|")} for floor in ast.literal_eval(line.removeprefix("layers = "))]
    existing = {path.relative_to(PACKAGE).parts[0] for path in MODULES}
    assert declared[::-1] == [rooms & existing for rooms in FLOORS]


def module_name(path: Path) -> str:
    return ".".join(("jp_adapt", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that reach each other by imports."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            for other in arrows.get(waiting.pop(), set()) - seen:
                seen.add(other)
                waiting.append(other)
        return seen

    reach = {name: reached(name) for name in arrows}
    groups = {tuple(sorted(other for other in reach[name] if name in reach[other])) for name in arrows if name in reach[name]}
    return [list(group) for group in sorted(groups)]


def import_arrows(path: Path, known: set[str]) -> set[str]:
    """The modules of the package that a module imports, inside functions and under TYPE_CHECKING too."""
    targets = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            targets |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            targets |= {f"{node.module}.{alias.name}" if f"{node.module}.{alias.name}" in known else node.module for alias in node.names}
    return targets & known


@pytest.mark.parametrize(
    ("arrows", "groups"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"a"}, "c": {"a"}}, [["a", "b"]]),
        ({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"d"}}, [["a", "b", "c"], ["d"]]),
    ],
)
def test_a_circle_is_seen(arrows: dict[str, set[str]], groups: list[list[str]]) -> None:
    assert circles(arrows) == groups


def test_no_circle_among_modules() -> None:
    known = {module_name(path) for path in MODULES}
    arrows = {module_name(path): import_arrows(path, known) for path in MODULES if path.name != "__init__.py"}
    assert sum(map(len, arrows.values())) > 500
    assert circles(arrows) == []


def test_no_room_is_an_attic() -> None:
    """No room holds more than a fifth of the package, and `pipeline` stays small."""
    lines: dict[str, int] = {}
    for path in MODULES:
        if len(parts := path.relative_to(PACKAGE).parts) > 1:
            lines[parts[0]] = lines.get(parts[0], 0) + len(path.read_text(encoding="utf-8").splitlines())
    largest = max(lines, key=lambda room: lines[room])
    assert lines[largest] < 0.2 * sum(lines.values()), largest
    assert lines["pipeline"] < 2500


def test_every_room_says_what_it_is_for() -> None:
    for folder in {path.parent for path in MODULES} - {PACKAGE}:
        docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
        assert docstring, folder
        assert "\n" not in docstring, folder
