"""What a call from Python gives: one text is one entry, and numbers have bounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from jp_adapt.core.errors import UsageError
from jp_adapt.core.given import above_zero, at_least, several


def test_one_text_or_path_is_one_entry() -> None:
    assert several("abc") == several(Path("abc")) == several(["abc"]) == ["abc"]
    assert several(()) == []


def test_bounds_and_what_is_no_number() -> None:
    at_least("n", None, 1)
    at_least("n", 1, 1)
    above_zero("n", 0.5)
    for number in (0.5, float("nan")):
        with pytest.raises(UsageError, match=r"n is .*: a number of at least 1 is needed"):
            at_least("n", number, 1)
    with pytest.raises(UsageError, match=r"n is 0: a number above 0 is needed"):
        above_zero("n", 0)
