"""The notebook of docs/notebooks: its cells run in their order, on a model and a recipe that are small enough for a test."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from jp_adapt.core.files import read_json
from tests.conftest import ROOT
from tests.recipes import write_small_recipe

NOTEBOOK = read_json(ROOT / "docs" / "notebooks" / "smollm2.ipynb")
CELLS = [cell for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def run_cell(cell: dict[str, Any], names: dict[str, Any]) -> Any:
    """Run a cell as a notebook does; the value of its last line comes back, where that is an expression."""
    tree = ast.parse("".join(cell["source"]))
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, cell["id"], "exec"), names)
    return eval(compile(ast.Expression(last.value), cell["id"], "eval"), names) if isinstance(last, ast.Expr) else None  # noqa: S307


def test_the_cells_run_in_their_order(pico: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = write_small_recipe(tmp_path, pico)
    names: dict[str, Any] = {}
    shown = {}
    for cell in CELLS:
        shown[cell["id"]] = run_cell(cell, names)
        if "parameters" in cell["metadata"].get("tags", ()):
            names |= {"RECIPE": str(recipe), "SETTINGS": [], "RUN": "runs/notebook"}
    run, headline = names["run"], names["headline"]
    assert all(run.done(stage) for stage in run.stages)
    assert headline.chars_per_token.adapted > headline.chars_per_token.base
    assert names["pieces"]
    assert Path("runs/notebook-shorter/tokenizer.json").is_file()
    assert isinstance(shown[CELLS[-1]["id"]], str)


def test_it_is_committed_without_outputs() -> None:
    assert [cell["id"] for cell in CELLS if cell["outputs"] or cell["execution_count"]] == []
    assert {cell["metadata"].get("tags", [None])[0] for cell in CELLS} == {"parameters", None}
