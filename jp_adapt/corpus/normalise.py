"""The step `normalise`: one code point for each character that has several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jp_adapt.corpus.steps import Outcome
from jp_adapt.text.tables import DEFAULT, apply_tables

TableName = Literal["control", "variation_selectors", "spaces", "ideographic_space", "half_width_kana", "dakuten", "wave_dash", "full_width_ascii", "nfc"]


@dataclass(frozen=True, slots=True)
class Normalise:
    """Unicode normalisation by the named tables of `jp_adapt.text.tables`; each counts its changes. Applying it twice changes nothing more.

    Attributes:
        tables: by default all but the two optional ones, "ideographic_space" and "full_width_ascii". Never NFKC.
    """

    tables: tuple[TableName, ...] = DEFAULT  # type: ignore[assignment]
    name: str = "normalise"

    def __call__(self, text: str) -> Outcome:
        text, changes = apply_tables(text, self.tables)
        return Outcome(text, changes=changes)
