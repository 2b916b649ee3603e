"""What every part of a declaration shares: strict types, no unknown keys, names and counts."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]

# Every number has an upper bound, far above what makes sense: what is computed from it stays a number that Python, numpy and torch can hold.
Count = Annotated[int, Field(gt=0, le=10**12)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Positive = Annotated[float, Field(gt=0, le=1e9)]
NotNegative = Annotated[float, Field(ge=0, le=1e9)]


class Part(BaseModel):
    """Base of every part of a recipe: unknown keys are errors, types are taken as written, nothing changes afterwards."""

    EXAMPLE: ClassVar[str] = ""  # how it is written, for who wrote something else in its place
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, str_max_length=20_000)
