"""Load a small declaration file: YAML, a pydantic model, and every problem at file:line."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from jp_adapt.core.errors import UsageError
from jp_adapt.core.schema_words import what_is_needed
from jp_adapt.core.suggest import did_you_mean
from jp_adapt.core.yaml_lines import load_yaml

Model = TypeVar("Model", bound=BaseModel)


def load_declaration(path: Path, model: type[Model]) -> Model:
    """The file as a `model`. UsageError with file:line and the nearest right name, all problems at once."""
    document = load_yaml(path)
    try:
        return model.model_validate(document.value)
    except ValidationError as error:
        lines = []
        for detail in error.errors():
            file, line = document.place(tuple(detail["loc"])) or (str(path), 1)
            near = did_you_mean(str(detail["loc"][-1]), model.model_fields) if detail["type"] == "extra_forbidden" else ""
            dotted = ".".join(map(str, detail["loc"]))
            lines.append(f"{file}:{line}: {f'{dotted}: ' if dotted else ''}{what_is_needed(detail)}{near}")
        raise UsageError("\n".join(lines)) from error
