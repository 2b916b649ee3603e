"""The nearest right name is offered, a far one is not."""

from __future__ import annotations

import pytest

from jp_adapt.core.suggest import did_you_mean


@pytest.mark.parametrize(
    ("wrong", "names", "hint"),
    [
        ("optimiser", ["optimizer", "lora"], " (did you mean 'optimizer'?)"),
        ("quickstar", ["slowstart", "quickstart"], " (did you mean 'quickstart'?)"),
        ("xyz", ["optimizer", "lora"], ""),
        ("lr", [], ""),
        ("", ["a"], ""),
    ],
)
def test_hint(wrong: str, names: list[str], hint: str) -> None:
    assert did_you_mean(wrong, iter(names)) == hint
