"""What `advise` found, as a typed document: each size of an extension with what it gains, costs and may be expected to learn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from jp_adapt.core.documents import Document
from jp_adapt.model.expected_bits import Expected


@dataclass(frozen=True)
class AdviceRow:
    """A size. `new_tokens` 0 is the base's own tokenizer.

    Attributes:
        rare_in_training: new tokens that stand fewer than `AdviceReport.rare_below` times in the training.
        training_tokens, training_chars: what the training reads, over all epochs.
        training_hours: on all devices together; None where the sizes of the model are not known.
        serving_hours: device-hours a day.
        pays_after_days: of serving, until the device-hours that it saves are those of the training; None where nothing is saved.
        bits: per character, expected after the training; as a share of those before where `AdviceReport.base_bits` is not given. None where the training is too
            unlike those that were measured.
    """

    new_tokens: int
    chars_per_token: float
    rare_in_training: int
    training_tokens: int
    training_chars: int
    training_hours: float | None = None
    training_cost: float | None = None
    serving_hours: float | None = None
    serving_cost: float | None = None
    pays_after_days: float | None = None
    bits: Expected | None = None


@dataclass(frozen=True)
class AdviceReport(Document):
    """The report of `advise`; rows by size, the base's own tokenizer first. `recommended`: new tokens; 0 is not to extend."""

    WHAT: ClassVar[str] = "the report of advise"
    WAY_OUT: ClassVar[str] = "make it again with `jp-adapt advise`"

    base: str
    heldout_documents: int
    heldout_chars: int
    corpus_chars: int
    rare_below: int
    rows: list[AdviceRow]
    recommended: int
    advice: list[str]
    fitted_to: str
    device: str | None = None
    devices: int = 1
    currency: str | None = None
    serve_chars_per_day: int | None = None
    base_bits: float | None = None
    kind: Literal["advice"] = "advice"
    format: Literal[1] = 1
