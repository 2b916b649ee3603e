"""Documents: JSON files with a format. What does not fit is refused with the key, the value and a way out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from jp_adapt.core.documents import Document
from jp_adapt.core.errors import InputError


@dataclass(frozen=True)
class Part:
    name: str
    share: float | None


@dataclass(frozen=True)
class Figures(Document):
    WHAT: ClassVar[str] = "the figures of a count"
    WAY_OUT: ClassVar[str] = "count again"
    FORMAT: ClassVar[int] = 2

    parts: list[Part]
    interval: tuple[float, float]
    format: Literal[2] = 2

    @classmethod
    def upgraded(cls, value: dict[str, Any]) -> dict[str, Any] | None:
        return value | {"format": 2, "interval": [0.0, 1.0]} if value.get("format") == 1 else None


RIGHT = {"format": 2, "parts": [{"name": "日本", "share": None}], "interval": [0.0, 0.5]}


def written(folder: Path, value: object) -> Path:
    (folder / "figures.json").write_text(json.dumps(value), encoding="utf-8")
    return folder / "figures.json"


def test_what_is_written_is_read(tmp_path: Path) -> None:
    figures = Figures([Part("日本", None)], (0.0, 0.5))
    figures.write(tmp_path / "figures.json")
    assert Figures.read(tmp_path / "figures.json") == figures
    assert "日本" in (tmp_path / "figures.json").read_text(encoding="utf-8")
    assert Figures.read(written(tmp_path, RIGHT | {"later": 1})) == figures, "keys of a later version are ignored"
    assert Figures.read(written(tmp_path, {"format": 1, "parts": []})).interval == (0.0, 1.0)
    with pytest.raises(ValueError, match="not JSON compliant"):
        Figures([Part("a", float("nan"))], (0.0, 0.5)).write(tmp_path / "figures.json")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "not the figures of a count in format 2: an object is needed, not []"),
        ({}, "not the figures of a count in format 2 (it names none); count again"),
        (RIGHT | {"format": 3}, "not the figures of a count in format 2 (its format is 3); count again"),
        (RIGHT | {"parts": {}}, "parts: a list is needed, not {}; count again"),
        (RIGHT | {"parts": [{"name": 3, "share": "x"}]}, "parts.0.name: a text is needed, not 3; parts.0.share: a number is needed, not"),
        (RIGHT | {"interval": [0.0]}, "interval.1: the key is missing"),
        ({"format": 2}, "parts: the key is missing; interval: the key is missing; count again"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, value: object, message: str) -> None:
    with pytest.raises(InputError) as error:
        Figures.read(written(tmp_path, value))
    assert str(error.value).startswith(f"{tmp_path / 'figures.json'}: not the figures of a count in format 2")
    assert message in str(error.value)


def test_a_missing_file_is_told_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"figures\.json: no such file; count again$"):
        Figures.read(tmp_path / "figures.json")
