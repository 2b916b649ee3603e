"""Steps that repair a text: decoding, markup, personal information. A text that cannot be repaired is dropped, with the reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from jp_adapt.corpus.steps import Outcome
from jp_adapt.text.markup import strip_boilerplate, strip_markup
from jp_adapt.text.mojibake import has_marks, lost_number, lost_share, repair
from jp_adapt.text.mojibake_runs import repair_runs
from jp_adapt.text.personal import mask_personal
from jp_adapt.text.ruby import Readings

MIN_LOST = 3


@dataclass(frozen=True)
class RepairDecoding:
    """Repairs mojibake in the text, a line, or a run within a line, where the repair is exact; the rest is damage, which is dropped or counted.

    Attributes:
        max_lost: share of the characters outside of ASCII that may be lost for good; one or two of them (an icon of a private font) are never too many.
        on_damage: drop a text with more, or keep it; what is lost of a kept text is counted as "damaged".
    """

    max_lost: float = 0.05
    on_damage: Literal["drop", "keep"] = "drop"
    name: str = field(default="decoding", init=False)

    def __call__(self, text: str) -> Outcome:
        if not has_marks(text):
            return Outcome(text)
        mended, repairs = repair(text)
        mended, runs = repair_runs(mended)
        lost = lost_number(mended)
        if self.on_damage == "drop" and lost >= MIN_LOST and lost_share(mended) > self.max_lost:
            return Outcome(None, "mojibake without a way back")
        counts = {"repaired": repairs + runs, "damaged": lost}
        return Outcome(mended, changes={kind: number for kind, number in counts.items() if number})


@dataclass(frozen=True)
class StripMarkup:
    """Removes HTML and wiki markup and lines of navigation; Markdown code stays. A page without text is dropped.

    Attributes:
        boilerplate: whether lines of navigation go too.
        readings: of kanji (ruby, furigana): out of the text, or behind their word in （ ）.
    """

    boilerplate: bool = True
    readings: Readings = "drop"
    name: str = field(default="markup", init=False)

    def __call__(self, text: str) -> Outcome:
        stripped, changes = strip_markup(text, self.readings)
        if self.boilerplate:
            stripped, lines = strip_boilerplate(stripped)
            changes = changes | ({"boilerplate lines": lines} if lines else {})
        if not stripped.strip():
            return Outcome(None, "nothing but markup")
        return Outcome(stripped, changes=changes)


@dataclass(frozen=True)
class MaskPersonal:
    """Replaces e-mail addresses, telephone numbers and My Numbers by marks."""

    name: str = field(default="personal", init=False)

    def __call__(self, text: str) -> Outcome:
        masked, changes = mask_personal(text)
        return Outcome(masked, changes=changes)
