"""What is no error in the texts of a recipe and is seldom meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jp_adapt.recipe.schema import Recipe
from jp_adapt.recipe.text_notes import text_notes


def recipe(tmp_path: Path, **changes: Any) -> Recipe:
    sources = {name: {"path": str(tmp_path / f"{name}.jsonl"), "language": "ja"} for name in ("a", "b")}
    stages = [{"id": "tok", "kind": "tokenizer", "corpus": ["a"], "new_tokens": 10}, {"id": "model", "kind": "export", "start": "base"}]
    return Recipe.model_validate({"name": "mine", "base": {"path": "base"}, "sources": sources, "stages": stages} | changes)


JAPANESE_TEXT = "日本語の文です。" * 30


def test_nothing_is_said_of_what_is_meant(tmp_path: Path) -> None:
    assert list(text_notes(recipe(tmp_path), {"a": [JAPANESE_TEXT], "b": [JAPANESE_TEXT]})) == []
    assert list(text_notes(recipe(tmp_path), {})) == [], "of a source that was not read"


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ({"a": [JAPANESE_TEXT], "b": ["only English"]}, "source 'b' is to be Japanese, and there is no Japanese character in it; is it the right file"),
        ({"a": ["日本語" * 10], "b": [JAPANESE_TEXT]}, "stage 'tok': 10 new tokens from 30 characters; the text can teach some 1 at most"),
    ],
)
def test_each_of_them(texts: dict[str, list[str]], said: str, tmp_path: Path) -> None:
    (note,) = text_notes(recipe(tmp_path), texts)
    assert note.startswith(said)


def test_one_file_under_two_names(tmp_path: Path) -> None:
    same = {"a": {"path": str(tmp_path / "x.jsonl"), "language": "en"}, "b": {"path": str(tmp_path / "sub" / ".." / "x.jsonl"), "language": "en"}}
    assert list(text_notes(recipe(tmp_path, sources=same), {})) == ["sources 'a' and 'b' are the same file; its text counts twice"]
