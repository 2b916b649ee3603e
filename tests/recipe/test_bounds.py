"""Every number of a declaration has a lower and an upper bound, so that nothing that is computed from it runs over or never ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from jp_adapt.benchmarks.benchmark import Benchmark, Suite
from jp_adapt.benchmarks.judge import JudgeTask
from jp_adapt.benchmarks.published import PublishedTable
from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.recipe.corpus import CorpusRecipe
from jp_adapt.recipe.load import load_recipe
from jp_adapt.recipe.load_corpus import load_corpus
from jp_adapt.recipe.merge import MergeRecipe
from jp_adapt.recipe.schema import Recipe


def unbounded(schema: Any, place: str = "") -> Iterator[str]:
    """Places of numbers of a JSON schema that lack a bound."""
    if isinstance(schema, list):
        for index, part in enumerate(schema):
            yield from unbounded(part, f"{place}[{index}]")
    elif isinstance(schema, dict):
        bounds = [{"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"}]
        if schema.get("type") in ("integer", "number") and not {"const", "enum"} & schema.keys() and not all(bound & schema.keys() for bound in bounds):
            yield place
        for key, part in schema.items():
            yield from unbounded(part, f"{place}.{key}")


@pytest.mark.parametrize("model", [Recipe, CorpusRecipe, Benchmark, Suite, JudgeTask, PublishedTable, MergeRecipe])
def test_every_number_has_bounds(model: type[BaseModel]) -> None:
    assert list(unbounded(model.model_json_schema())) == []


def test_a_number_without_bounds_is_seen() -> None:
    class Open(BaseModel):
        fine: int = 1
        numbers: list[float] = []

    assert list(unbounded(Open.model_json_schema())) == [".properties.fine", ".properties.numbers.items"]


@pytest.mark.parametrize(
    "setting",
    [
        "stages.cpt.budget={epochs: 1.0e+300}",
        "stages.cpt.budget={tokens: 99999999999999999999}",
        "stages.cpt.sequence_tokens=99999999999999999999",
        "stages.tok.new_tokens=99999999999999999999",
        "stages.tok.min_count=" + "9" * 100,
        "stages.cpt.optimizer.lr=1e308",
        "stages.cpt.lora.rank=9999999999",
        "seed=" + "9" * 50,
        "stages.cpt.data=[{source: ja, weight: 1e308}]",
    ],
)
def test_a_number_far_too_large_is_named(setting: str) -> None:
    with pytest.raises(UsageError, match=r"^-s .*a number (below|of at most)"):
        load_recipe("quickstart", [setting])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("stages.²=x", "-s stages.²=x: no '²' in stages"),
        ("stages.٣=x", "-s stages.٣=x: no '٣' in stages"),
        ("stages." + "9" * 5_000 + "=x", "no '9"),
        (".".join("a" * 5_000) + "=x", "5000 keys, and no setting lies deeper than 12"),
        ("name=" + "n" * 5_000, "a text of at most 100 characters is needed"),
        ("sources.ja_train.path=" + "n" * 5_000, "cannot be read (File name too long)"),
        ("base={path: " + "n" * 5_000 + "}", "cannot be read (File name too long)"),
        ("title=" + "n" * 30_000, "a text of at most 20,000 characters is needed"),
        ('title="\\ud800"', "holds the character U+D800, which stands in no text"),
        ('sources.ja.path="a\\0b"', "holds the character U+0000, which stands in no text"),
        ("stages.eval.benchmarks=[" + "n" * 5_000 + "]", "cannot be read (File name too long)"),
        ("stages.eval.suite=" + "n" * 5_000, "give one of them"),
        ('stages.eval.data="~nosuchuser/x"', "no-match"),
    ],
    ids=lambda text: text[:30],
)
def test_odd_names_and_keys_are_one_error(setting: str, message: str) -> None:
    if message == "no-match":  # the shipped benchmarks of the quickstart need no data; what is tested is that nothing else is raised
        assert load_recipe("quickstart", [setting]).recipe.name == "quickstart"
        return
    with pytest.raises((UsageError, InputError)) as given:
        load_recipe("quickstart", [setting])
    assert message in str(given.value)
    assert "Traceback" not in str(given.value)


def test_a_long_chain_of_recipes_is_refused_soon(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"r{number}.yaml").write_text(f"extends: r{number + 1}.yaml\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"r20\.yaml:1: more than 20 recipes extend each other in a chain"):
        load_recipe(tmp_path / "r0.yaml")
    with pytest.raises(UsageError, match="more than 20 recipes"):
        load_corpus(tmp_path / "r0.yaml")


@pytest.mark.parametrize("parent", ["n" * 5_000, "a/" * 3_000, "[a]", "{a: 1}", "~nosuchuser/x.yaml", "''"])
def test_an_odd_parent_is_one_error(tmp_path: Path, parent: str) -> None:
    (tmp_path / "r.yaml").write_text(f"extends: {parent}\n", encoding="utf-8")
    with pytest.raises((UsageError, InputError), match=r"r\.yaml:1: "):
        load_recipe(tmp_path / "r.yaml")
