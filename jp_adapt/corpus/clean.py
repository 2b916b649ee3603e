"""Steps that mend a text: decoding, markup, personal information. What cannot be mended is dropped, with the reason."""

from __future__ import annotations

from dataclasses import dataclass, field

from jp_adapt.corpus.steps import Outcome
from jp_adapt.text.markup import strip_boilerplate, strip_markup
from jp_adapt.text.mojibake import lost_share, repair
from jp_adapt.text.personal import mask_personal


@dataclass(frozen=True)
class RepairDecoding:
    """Repairs mojibake where the way back is exact; drops a text of which more than `max_lost` (of the characters outside of ASCII) is lost for good."""

    max_lost: float = 0.05
    name: str = field(default="decoding", init=False)

    def __call__(self, text: str) -> Outcome:
        if text.isascii():
            return Outcome(text)
        mended, repairs = repair(text)
        if lost_share(mended) > self.max_lost:
            return Outcome(None, "mojibake without a way back")
        return Outcome(mended, changes={"repaired": repairs} if repairs else {})


@dataclass(frozen=True)
class StripMarkup:
    """HTML and wiki markup out, and lines of navigation; code of Markdown stays. A page without a text is dropped."""

    boilerplate: bool = True
    name: str = field(default="markup", init=False)

    def __call__(self, text: str) -> Outcome:
        stripped, changes = strip_markup(text)
        if self.boilerplate:
            stripped, lines = strip_boilerplate(stripped)
            changes = changes | ({"boilerplate lines": lines} if lines else {})
        if not stripped.strip():
            return Outcome(None, "nothing but markup")
        return Outcome(stripped, changes=changes)


@dataclass(frozen=True)
class MaskPersonal:
    """Mail addresses, telephone numbers and My Numbers become marks."""

    name: str = field(default="personal", init=False)

    def __call__(self, text: str) -> Outcome:
        masked, changes = mask_personal(text)
        return Outcome(masked, changes=changes)
