"""The JSON Schema of recipes and declarations: what is shipped is valid in it, and what `check` refuses for its shape is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from jp_adapt.cli.main import main
from jp_adapt.cli.schema import KINDS as OFFERED
from jp_adapt.commands.json_schema import KINDS, attribute_notes, json_schema, place_schema
from jp_adapt.core import shipped
from tests.conftest import ROOT

SHIPPED = {
    "recipe": shipped.shipped_recipes,
    "corpus": shipped.shipped_corpora,
    "benchmark": shipped.shipped_benchmarks,
    "suite": shipped.shipped_suites,
    "judge": shipped.shipped_judges,
}
FILES = [(kind, path) for kind, files in SHIPPED.items() for path in files().values()]


def problems(kind: str, value: Any) -> list[str]:
    return [error.message for error in Draft202012Validator(json_schema(kind)).iter_errors(value)]


@pytest.mark.parametrize(("kind", "path"), FILES, ids=lambda part: part.stem if isinstance(part, Path) else part)
def test_what_is_shipped_is_valid(kind: str, path: Path) -> None:
    assert problems(kind, yaml.safe_load(path.read_text(encoding="utf-8"))) == []


def test_every_schema_is_a_schema_and_is_offered() -> None:
    assert tuple(KINDS) == OFFERED
    for kind in KINDS:
        Draft202012Validator.check_schema(json_schema(kind))


def test_a_merge_recipe_is_valid() -> None:
    recipe = {"format": 1, "name": "mine", "method": "linear", "models": {"a": {"path": "a", "weight": 0.5}, "b": {"path": "b", "weight": [0, 1]}}}
    assert problems("merge", recipe) == []
    assert problems("merge", recipe | {"methd": "linear"})


@pytest.mark.parametrize(
    "change",
    [
        {"seeed": 1},
        {"seed": "one"},
        {"stages": []},
        {"stages": [{"id": "tok", "kind": "tokenizer", "corpus": ["ja_train"], "new_tokens": 0}]},
        {"stages": [{"id": "tok", "kind": "tokeniser", "corpus": ["ja_train"], "new_tokens": 10}]},
    ],
)
def test_a_wrong_recipe_is_not_valid(change: dict[str, Any]) -> None:
    recipe = yaml.safe_load((ROOT / "recipes" / "quickstart.yaml").read_text(encoding="utf-8"))
    assert problems("recipe", recipe) == []
    assert problems("recipe", recipe | change)


def test_a_recipe_that_extends_says_only_what_differs() -> None:
    recipe = {"extends": "quickstart", "name": "mine", "stages": [{"id": "tok", "new_tokens": 4000}]}
    assert problems("recipe", recipe) == []
    assert problems("recipe", recipe | {"seeed": 1})


def test_a_source_of_a_corpus_may_use_a_declaration() -> None:
    corpus = yaml.safe_load((ROOT / "recipes" / "corpora" / "quickstart-corpus.yaml").read_text(encoding="utf-8"))
    assert problems("corpus", corpus | {"sources": {"wiki": {"use": "wikipedia-ja"}}}) == []
    assert problems("corpus", corpus | {"sources": {"wiki": {"path": "a.jsonl"}}})
    assert problems("corpus", corpus | {"steps": [{"kind": "quality", "min_char": 100}]})


def test_notes_of_a_docstring() -> None:
    notes = attribute_notes("A step.\n\nAttributes:\n    a: of one\n        and two\n    b: more\n\nRaises:\n    E: no\n")
    assert notes == {"a": "of one and two", "b": "more"}
    described = json_schema("corpus")["$defs"]["step quality"]["properties"]
    assert described["max_spam"]["description"].startswith("words of")


def test_the_command_prints_or_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "recipe"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json_schema("recipe")
    path = tmp_path / "recipe.schema.json"
    assert main(["schema", "recipe", "--out", str(path)]) == 0
    assert json.loads(path.read_text(encoding="utf-8")) == printed
    assert main(["schema", "recipe", "--out", str(path)]) == 2


def test_a_schema_of_someone_else_stays_and_an_older_one_goes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "recipe.schema.json"
    for own in ('{"title": "Recipe", "servings": 4}', "no JSON", "[]"):
        file.write_text(own, encoding="utf-8")
        place_schema("recipe", tmp_path)
        assert file.read_text(encoding="utf-8") == own
        assert "recipe.schema.json is none of jp-adapt's schemas and stays as it is" in capsys.readouterr().err
    older = json_schema("recipe")
    del older["$defs"]["EvolveStage"]
    file.write_text(json.dumps(older), encoding="utf-8")
    place_schema("recipe", tmp_path)
    assert json.loads(file.read_text(encoding="utf-8")) == json_schema("recipe")
    assert capsys.readouterr().err == ""
