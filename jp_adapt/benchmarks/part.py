"""What every part of a declaration shares: strict types, no unknown keys, names and counts."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

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


def _take_licence(schema: dict[str, Any]) -> None:
    """Let the JSON Schema take both spellings."""
    for name in [name for name in schema["properties"] if name.startswith("license")]:
        schema["properties"][name.replace("license", "licence")] = {"type": "string", "description": f"as `{name}`", "deprecated": True}
    if "license" in schema.get("required", ()):
        schema["required"].remove("license")
        schema["anyOf"] = [{"required": ["license"]}, {"required": ["licence"]}]


class Licensed(Part):
    """What has a licence: written `license`, and read as `licence` too."""

    model_config = ConfigDict(json_schema_extra=_take_licence)

    @model_validator(mode="before")
    @classmethod
    def _both_spellings(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        names = {name: name.replace("licence", "license") if isinstance(name, str) else name for name in value}
        return {names[name]: entry for name, entry in value.items()}  # of both the later: what extends a recipe is laid behind its keys
