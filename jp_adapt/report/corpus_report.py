"""What is shown of a prepared corpus: its figures with what its recipe says of each source, and the shares of the mixture."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from jp_adapt.corpus.figures import Problems
from jp_adapt.corpus.steps import StepCounts


@dataclass(frozen=True)
class SourceReport:
    """A source. `chars_per_token` and `mixture_share` are None where there is no tokenizer."""

    name: str
    language: str
    licence: str
    documents: int
    characters: int
    tokens: int
    chars_per_token: float | None
    mixture_share: float | None
    scripts: dict[str, int]
    lengths: list[int]
    problems: Problems


@dataclass(frozen=True)
class CorpusReport:
    """A prepared corpus; `steps` is step -> source -> what the step did. `shards` and `dtype` are known of one that lies on the disk."""

    name: str
    title: str
    sources: list[SourceReport]
    steps: dict[str, dict[str, StepCounts]]
    shards: int | None = None
    dtype: str | None = None
    document_end: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return asdict(self)
