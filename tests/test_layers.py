"""The floors of the house: a module imports only from floors below its own, and rooms on one floor are strangers."""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from pathlib import Path

import pytest

import jp_adapt

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


@lru_cache(maxsize=1)  # one module is looked at several times on end; all trees at once take much memory
def parsed(source: str) -> ast.Module:
    return ast.parse(source)


def imports(tree: ast.AST) -> list[tuple[int, str]]:
    """(line, dotted module) of every import in a module, those inside functions and under TYPE_CHECKING too."""
    results = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            results += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            results += [(node.lineno, f"jp_adapt.{alias.name}") for alias in node.names] if module == "jp_adapt" else [(node.lineno, module)]
    return results


def at_the_top(source: str) -> list[str]:
    """Modules that are imported with a module, and not only when one of its functions is called."""
    outside = ast.Module([node for node in parsed(source).body if not isinstance(node, ast.FunctionDef | ast.ClassDef)], [])
    return [module for _, module in imports(outside)]


def breaches(room: str, source: str) -> list[str]:
    """What a module of `room` imports although it may not."""
    results = []
    for line, module in imports(parsed(source)):
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
        assert [module for _, module in imports(parsed(source)) if module.split(".")[0] in HEAVY - allowed] == []
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
    for node in ast.walk(parsed(path.read_text(encoding="utf-8"))):
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


def test_peft_is_loaded_where_it_puts_lora_on_a_model_alone() -> None:
    """It takes seconds, and imports bitsandbytes; most commands need neither."""
    loading = {module_name(path) for path in MODULES if "peft" in {module.split(".")[0] for module in at_the_top(path.read_text(encoding="utf-8"))}}
    assert loading == {"jp_adapt.model.lean_lora"}
    importing = {module_name(path) for path in MODULES if "jp_adapt.model.lean_lora" in at_the_top(path.read_text(encoding="utf-8"))}
    assert importing == set()


def test_every_room_says_what_it_is_for() -> None:
    for folder in {path.parent for path in MODULES} - {PACKAGE}:
        docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
        assert docstring, folder
        assert "\n" not in docstring, folder


# Modules that no test of their own room imports: the test that goes through them, and why it stands elsewhere.
TESTED_THROUGH = {
    "tests/cli/test_judge.py": (
        "the whole command against a server, killed and resumed",
        "commands.judge evaluation.judge.run report.judge_tables",
    ),
    "tests/cli/test_corpus.py": ("the whole command on real files", "commands.corpus corpus.overlap"),
    "tests/cli/test_plan.py": ("the whole command", "commands.plan"),
    "tests/cli/test_cli.py": ("commands that only print or copy", "commands.copy_recipe"),
    "tests/cli/test_arguments.py": ("the script is a matter of the arguments", "commands.slurm"),
    "tests/evaluation/judge/test_requests.py": ("published prompts are rebuilt from the declarations", "benchmarks.judge benchmarks.declaration"),
    "tests/evaluation/judge/test_client.py": ("the judge is the first client of an endpoint", "inference.endpoint inference.exchange"),
    "tests/evaluation/test_scoring.py": ("metrics are known by their scores", "benchmarks.metrics"),
    "tests/evaluation/test_compare.py": ("published scores are for comparison", "benchmarks.published"),
    "tests/evaluation/test_sandbox.py": ("it runs in a process of its own, and is never imported", "evaluation.sandbox_child"),
    "tests/commands/test_evaluate_warnings.py": ("part of an evaluation", "evaluation.batch_check"),
    "tests/commands/test_matrix.py": ("the table of a whole matrix", "evaluation.leaderboard"),
    "tests/report/test_eval_page.py": ("the command writes the page", "commands.compare"),
    "tests/report/test_run_page.py": ("charts stand on the page", "report.run_charts"),
    "tests/test_end_to_end.py": ("a whole run is what they are for", "pipeline.stages.tokenizer"),
    "tests/serving/test_llama_server.py": ("they need a server", "commands.chat commands.serve export.llama_server"),
    "tests/export/test_hub.py": ("the command against a server", "commands.hub"),
    "tests/export/test_gguf_folder.py": ("a tokenizer comes back from the file that it was written to", "tokenizer.gguf"),
    "tests/merging/test_merge_models.py": (
        "whole models are merged by the command",
        "commands.merge commands.merge_folder commands.merge_plan commands.merge_record merging.config",
    ),
    "tests/merging/test_adapters.py": ("adapters are merged by the command", "commands.merge_adapters"),
    "tests/merging/test_explain.py": ("the command on the models of the library's test", "commands.merge_explain"),
    "tests/merging/test_genome_stack.py": ("what both kinds of genes have in common", "merging.genome"),
    "tests/merging/test_search.py": ("a journal is known by the search that goes on from it", "merging.journal"),
    "tests/pipeline/stages/test_watching.py": ("a stage gives its figures away", "training.trackers"),
    "tests/pipeline/stages/test_evolve.py": (
        "whole evolutions are run by the stage",
        "recipe.evolve recipe.evolve_sizes",
    ),
    "tests/recipe/test_bounds.py": ("the base of every declaration", "benchmarks.part"),
    "tests/recipe/test_load.py": ("each rule by the recipe that breaks it", "recipe.checks recipe.stage_items model.gguf_names"),
    "tests/corpus/test_clean.py": ("rules of a text by the documents that they clean", "text.mojibake text.mojibake_runs text.ruby text.spans"),
    "tests/corpus/test_defects.py": ("rules of a text by the documents that they drop", "text.spam"),
    "tests/corpus/test_language.py": ("the characters decide on a document's language", "text.hanzi text.script_counts"),
    "tests/text/test_chat_jinja.py": ("the bounds of every template", "text.template_bounds"),
    "tests/training/test_loop.py": ("a signal stops the loop", "training.stop"),
    "tests/pipeline/test_inputs.py": ("`check` tells of them", "recipe.held_out"),
    "tests/pipeline/test_document_tokens.py": ("the run makes the folder that says them", "recipe.document_tokens"),
    "tests/cli/test_preview.py": ("the whole command", "pipeline.preview"),
}


def test_every_module_is_tested_in_its_room_or_where_the_table_says() -> None:
    """By a test that imports it or has its name; with the modules of its room that alone import it; or by the test in the table."""
    tests = PACKAGE.parent / "tests"
    modules = {module_name(path): path for path in MODULES if path.stem not in DOORS}
    arrows = {name: import_arrows(path, modules.keys()) for name, path in modules.items()}
    room = {name: name.split(".")[1] for name in modules}
    covered: set[str] = set()
    for path in tests.rglob("test_*.py"):
        texts = {node.value for node in ast.walk(parsed(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        covered |= {
            f"jp_adapt.cli.{word.replace('-', '_')}" for text in texts for word in text.split(" ")[:2]
        } & modules.keys()  # `main(["eval", "page", ...])`
        parts = path.relative_to(tests).with_suffix("").parts
        covered |= {name for name in import_arrows(path, modules.keys()) if room[name] == parts[0]}
        covered.add(".".join(("jp_adapt", *parts[:-1], parts[-1].removeprefix("test_"))))
    parts_of = {name: {other for other in modules if name in arrows[other]} for name in modules}
    while more := {name for name in modules.keys() - covered if parts_of[name] and all(o in covered and room[o] == room[name] for o in parts_of[name])}:
        covered |= more
    table = {f"jp_adapt.{name}": file for file, (_, names) in TESTED_THROUGH.items() for name in names.split()}
    assert sorted(modules.keys() - covered - table.keys()) == [], "test it in its room, or name the test that goes through it"
    assert sorted(table.keys() & covered) == [], "the table names what its own room tests"
    assert sorted(table.keys() - modules.keys()) == [], "the table names what is no module"
    assert [file for file in TESTED_THROUGH if not (PACKAGE.parent / file).is_file()] == []


def test_nothing_public_is_there_for_tests_alone() -> None:
    """Functions and classes at the top of a module are used by the package, or belong to its public API: `jp_adapt.NAME`, or named in the documents."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in MODULES}
    used = {node.id for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.Name)}
    used |= {node.attr for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    texts = [node.value for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    used |= {word for text in texts if re.fullmatch(r"[\w.]+:?\w+", text) for word in re.split(r"[.:]", text)}  # what a table names, as "labels:accuracy"
    froms = [node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    used |= {alias.name for node in froms for alias in node.names if alias.asname}
    documents = "\n".join(path.read_text(encoding="utf-8") for path in [PACKAGE.parent / "README.md", *(PACKAGE.parent / "docs").glob("*.md")])
    public = set(re.findall(r"\w+", documents)) | set(jp_adapt.__all__)
    unused = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}: {node.name}"
        for path, tree in trees.items()
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_") and node.name not in used | public
        if not any(isinstance(mark, ast.Call) and "register" in ast.unparse(mark) for mark in node.decorator_list)
    ]
    assert unused == []
