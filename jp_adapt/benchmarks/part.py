"""What every part of a declaration shares: strict types, no unknown keys, names and counts."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]


Count = Annotated[int, Field(gt=0)]


class Part(BaseModel):
    """Base of every part of a recipe: unknown keys are errors, types are taken as written, nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
