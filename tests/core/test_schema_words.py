"""What a schema finds is said in the words of the file, and never in those of pydantic."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jp_adapt.core.schema_words import what_is_needed


class Inner(BaseModel):
    a: int = 0


class Kinds(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)

    whole: int = 0
    share: Annotated[float, Field(ge=0, lt=1)] = 0.5
    above: Annotated[int, Field(gt=0, le=10**6)] = 1
    text: Annotated[str, Field(max_length=1000)] = ""
    flag: bool = False
    inner: Inner = Inner()
    mapping: dict[str, int] = Field(default_factory=dict)
    entries: list[str] = Field(default_factory=list, min_length=1, max_length=2)
    pair: tuple[int, int] = (0, 0)
    kind: Literal["auto", "float16"] = "auto"
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")] = "a"
    odd: Annotated[str, Field(pattern="^x$")] = "x"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"whole": "1"}, "a whole number is needed"),
        ({"whole": 1.5}, "a whole number is needed"),
        ({"share": "x"}, "a number is needed"),
        ({"share": float("nan")}, "a finite number is needed"),
        ({"share": -0.5}, "a number of at least 0 is needed"),
        ({"share": 1.0}, "a number below 1 is needed"),
        ({"above": 0}, "a number above 0 is needed"),
        ({"above": 10**7}, "a number of at most 1,000,000 is needed"),
        ({"text": 1}, "a text is needed"),
        ({"text": "a" * 1001}, "a text of at most 1,000 characters is needed"),
        ({"flag": "yes"}, "true or false is needed"),
        ({"inner": 3}, "a mapping is needed here (key: value)"),
        ({"mapping": []}, "a mapping is needed here (key: value)"),
        ({"entries": "a"}, "a list is needed here"),
        ({"entries": []}, "at least one entry is needed"),
        ({"entries": ["a"] * 3}, "at most 2 entries are allowed"),
        ({"pair": 3}, "a list is needed here"),
        ({"kind": "float61"}, "'auto' or 'float16' is needed (did you mean 'float16'?)"),
        ({"name": "-"}, "a name is needed: letters of a to z, digits, '_', '.' and '-', with a letter or a digit first"),
        ({"odd": "y"}, "it must match ^x$"),
        ({"more": 1}, "unknown key"),
    ],
)
def test_the_rule_that_is_broken(given: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError) as error:
        Kinds.model_validate(given)
    assert [what_is_needed(detail) for detail in error.value.errors()] == [words]
