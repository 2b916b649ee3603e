"""What the tokenizer commands report, as typed documents: report.json of an extension, a verification or a comparison. None of them holds a path of a disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from jp_adapt.core.documents import Document
from jp_adapt.tokenizer.measure import Chip
from jp_adapt.tokenizer.verify import Criterion

REPORT, PAGE = "report.json", "report.html"


@dataclass(frozen=True)
class TokenizerFacts:
    """A tokenizer: the last part of its path, or as much of it as tells it from others; its family and number of tokens."""

    name: str
    family: str
    vocab_size: int


@dataclass(frozen=True)
class BaseFacts(TokenizerFacts):
    """The tokenizer that was extended, with the SHA-256 of its file, and the embedding rows of its model that belong to none of its tokens."""

    sha256: str = ""
    unused_rows: int = 0


@dataclass(frozen=True)
class MeasureFigures:
    """A tokenizer on a text (`tokenizer.measure.Measure`, with its ratios)."""

    documents: int
    chars: int
    bytes: int
    words: int
    tokens: int
    chars_per_token: float
    bytes_per_token: float
    tokens_per_word: float | None
    byte_fallback_share: float
    broken_share: float
    renyi_efficiency: float
    vocabulary_use: float
    byte_tokens: int = 0
    broken_tokens: int = 0


@dataclass(frozen=True)
class ExtensionFacts:
    """How many tokens an extension has, and how they were learned."""

    new_tokens: int
    added_bytes: int
    vocab_size: int
    padded_vocab_size: int
    boundaries: str
    max_token_chars: int
    min_count: int
    normalisation: str = "none"


@dataclass(frozen=True)
class CorpusFacts:
    """A source that new tokens were learned from."""

    source: str
    documents: int
    chars: int
    repeated_lines: int
    weight: float


@dataclass(frozen=True)
class ScriptCount:
    """New tokens of a script, and their uses in the corpus."""

    script: str
    tokens: int
    uses: int


@dataclass(frozen=True)
class LengthCount:
    """New tokens of so many characters, and their uses in the corpus."""

    chars: int
    tokens: int
    uses: int


@dataclass(frozen=True)
class UseCount:
    """New tokens that are used at least so often, and less than the next number."""

    at_least: int
    tokens: int


@dataclass(frozen=True)
class LearnedToken:
    """A new token with its uses, and the base tokens that spelled it."""

    id: int
    token: str
    count: int
    sources: list[str]


@dataclass(frozen=True)
class SourceMeasures:
    """A source before and after."""

    source: str
    base: MeasureFigures
    extended: MeasureFigures


@dataclass(frozen=True)
class CutSentence:
    """A sentence as the tokens of the base and of the extension."""

    text: str
    base: list[Chip]
    extended: list[Chip]


@dataclass(frozen=True)
class ExtensionReport(Document):
    """What `tokenizer extend` did."""

    WHAT: ClassVar[str] = "the report of a tokenizer extension"
    WAY_OUT: ClassVar[str] = "make it again with `jp-adapt tokenizer extend`"
    FORMAT: ClassVar[int] = 2

    base: BaseFacts
    extension: ExtensionFacts
    corpus: list[CorpusFacts]
    criteria: list[Criterion]
    by_script: list[ScriptCount]
    by_length: list[LengthCount]
    by_use: list[UseCount]
    most_used: list[LearnedToken]
    measures: list[SourceMeasures]
    samples: list[CutSentence]
    kind: Literal["extension"] = "extension"
    format: Literal[2] = 2


@dataclass(frozen=True)
class VerificationReport(Document):
    """What `tokenizer verify` found."""

    WHAT: ClassVar[str] = "the report of a tokenizer verification"
    WAY_OUT: ClassVar[str] = "make it again with `jp-adapt tokenizer verify`"
    FORMAT: ClassVar[int] = 2

    base: TokenizerFacts
    extended: TokenizerFacts
    texts: list[str]
    criteria: list[Criterion]
    holds: bool
    kind: Literal["verification"] = "verification"
    format: Literal[2] = 2


@dataclass(frozen=True)
class ComparedSource:
    """A tokenizer on a source."""

    tokenizer: str
    source: str
    measure: MeasureFigures


@dataclass(frozen=True)
class ComparisonReport(Document):
    """What `tokenizer compare` measured."""

    WHAT: ClassVar[str] = "the report of a tokenizer comparison"
    WAY_OUT: ClassVar[str] = "make it again with `jp-adapt tokenizer compare`"
    FORMAT: ClassVar[int] = 2

    tokenizers: list[TokenizerFacts]
    sources: list[str]
    rows: list[ComparedSource]
    kind: Literal["comparison"] = "comparison"
    format: Literal[2] = 2
