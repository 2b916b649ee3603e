"""The figures of a prepared corpus: report.json in its folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from jp_adapt.core.documents import Document
from jp_adapt.corpus.steps import StepCounts

REPORT = "report.json"


@dataclass
class Problems:
    """Documents of a source that could not be read: how many, and the first of them by file and line."""

    count: int = 0
    first: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class SourceFigures:
    """What is left of a source after all steps (see `assemble.SourceStats`), and what could not be read of it."""

    name: str
    documents: int
    characters: int
    tokens: int
    scripts: dict[str, int]
    lengths: list[int]
    problems: Problems


@dataclass(frozen=True)
class CorpusFigures(Document):
    """The figures of a prepared corpus: of its sources, and step -> source -> what the step did."""

    WHAT: ClassVar[str] = "the figures of a prepared corpus"
    WAY_OUT: ClassVar[str] = "prepare it again with `jp-adapt corpus prepare` and another --out"

    sources: list[SourceFigures]
    steps: dict[str, dict[str, StepCounts]]
    document_end: str | None = None  # the token that ends each document
    format: Literal[1] = 1
