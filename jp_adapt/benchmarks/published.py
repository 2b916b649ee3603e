"""Published scores (`eval/published/*.yaml`): tables of models and benchmarks, each bound to the protocol that it was measured by."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from jp_adapt.benchmarks.declaration import load_declaration
from jp_adapt.benchmarks.part import Count, Part, Positive
from jp_adapt.benchmarks.profiles import score_name
from jp_adapt.core.shipped import shipped_published

Score = Annotated[float, Field(ge=-1e9, le=1e9)]


class Column(Part):
    """One column of a table: a benchmark, how it was measured, and in which unit."""

    benchmark: str = Field(description="id of the benchmark here")
    profile: str = Field(description="profile that measures it in the same way")
    shots: int = Field(ge=0, le=1000)
    metric: str
    scale: Positive = Field(1.0, description="the table's value for a perfect score: 100 for per cent")
    items: Count | None = Field(None, description="number of items that were measured, where it is known: it gives the interval of a share")

    @property
    def name(self) -> str:
        """The name of a score that may be compared with this column."""
        return score_name(self.benchmark, self.profile, self.shots, self.metric)


class PublishedTable(Part):
    """Scores that somebody published."""

    format: int = Field(ge=1, le=1)
    title: str
    source: str
    read: str = Field(description="when it was read")
    note: str = ""
    assumed: str = Field("", description="what of the protocol the source does not say, and is taken for granted here")
    columns: list[Column] = Field(min_length=1)
    models: dict[str, list[Score | None]] = Field(description="model -> its scores, one for each column; null where there is none")

    @model_validator(mode="after")
    def _rectangular(self) -> PublishedTable:
        for model, scores in self.models.items():
            if len(scores) != len(self.columns):
                raise ValueError(f"'{model}' has {len(scores)} scores, and there are {len(self.columns)} columns")
        return self


def load_published() -> list[PublishedTable]:
    """Every shipped table."""
    return [load_declaration(path, PublishedTable) for path in shipped_published().values()]
