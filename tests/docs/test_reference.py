"""The reference is what the code says: its pages are those that `make reference` writes, and nothing is missing in them."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

import jp_adapt
from jp_adapt.cli.main import ACTIONS, VERBS
from jp_adapt.commands.corpus_steps import STEPS
from jp_adapt.commands.json_schema import KINDS
from jp_adapt.core.errors import JpAdaptError
from tests.docs.reference import FOLDER, commands, pages

PAGES = pages()


def models(kind: Any, seen: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    """Every pydantic model inside of a type, itself first."""
    if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in seen:
        seen.add(kind)
        yield kind
        for field in kind.model_fields.values():
            yield from models(field.annotation, seen)
    for part in get_args(kind):
        yield from models(part, seen)


def section(page: str, heading: str) -> str:
    return re.split(r"^## ", page.partition(f"## {heading}\n")[2], flags=re.MULTILINE)[0]


def test_the_pages_are_those_of_the_code() -> None:
    assert {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md")} == {name: text.rstrip("\n") + "\n" for name, text in PAGES.items()}, (
        "write them again: make reference"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_every_key_of_every_part_is_described(kind: str) -> None:
    page = PAGES[f"{kind}.md"]
    parts = list(models(KINDS[kind], set()))
    keys = {field.alias or name for part in parts for name, field in part.model_fields.items()}
    assert len(keys) > 3
    rows = {name: (kind_of, default, what) for name, kind_of, default, what in re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \| (.+) \|$", page, flags=re.MULTILINE)}
    assert keys - {"steps"} <= rows.keys()
    assert [name for name, (_, _, what) in rows.items() if len(what) < 5] == []


def test_a_default_a_bound_and_a_unit() -> None:
    page = PAGES["recipe.md"]
    assert "| `checkpoint_every` | whole number (above 0) | `20` | steps |" in section(page, "Stage `pretrain`")
    assert "| `warmup_share` | number (at least 0, below 1) | `0.05` |" in section(page, "Optimizer")
    assert "| `start` | text | needed |" in section(page, "Stage `sft`")
    assert "name: [Source](#source)" in page


def test_every_step_of_a_corpus_is_there() -> None:
    assert all(f"## Step `{kind}`" in PAGES["corpus.md"] for kind in STEPS)
    assert "| `max_spam` | number |" in section(PAGES["corpus.md"], "Step `quality`")


def test_every_command_and_option_is_there_and_says_something() -> None:
    page = PAGES["commands.md"]
    headings = re.findall(r"^## jp-adapt (.+)$", page, flags=re.MULTILINE)
    assert {heading.split()[0] for heading in headings} == set(VERBS)
    assert {f"{verb} {action}" for verb, actions in ACTIONS.items() for action in actions} <= set(headings)
    for parser in commands():
        own = section(page, parser.prog)
        for action in parser._actions:
            assert action.help, f"{parser.prog} {action.dest} has no help"
            if action.dest != "help" and action.help != argparse.SUPPRESS:
                assert all(f"`{option}`" in own for option in action.option_strings), f"{parser.prog} {action.option_strings}"


def test_every_public_name_is_there_with_its_docstring() -> None:
    for name in jp_adapt.__all__:
        own = section(PAGES["python.md"], name)
        assert own.startswith("\n```python\n")
        assert len(own.partition("\n```\n")[2].strip()) > 20, name


def test_every_exit_code_is_there() -> None:
    codes = {JpAdaptError.exit_code, *(kind.exit_code for kind in JpAdaptError.__subclasses__())}
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", PAGES["exit-codes.md"], flags=re.MULTILINE)} == codes | {0}
