"""An optional package that is missing is told with the command that installs it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jp_adapt.core import extras
from jp_adapt.core.errors import UsageError
from jp_adapt.core.extras import PACKAGES, missing_extra, require_extra


def test_every_extra_is_one_of_the_package() -> None:
    text = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    declared = re.findall(r"^(\w+) = \[", text[text.index("[project.optional-dependencies]") : text.index("[project.scripts]")], flags=re.MULTILINE)
    assert set(PACKAGES) == set(declared) - {"dev", "docs", "perf"}


def test_what_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PACKAGES, "gguf", "no_such_package")
    assert missing_extra("gguf") == "no_such_package is not installed; pip install 'jp-adapt[gguf]'"
    with pytest.raises(UsageError, match=r"^type Q4_K_M: no_such_package is not installed; pip install 'jp-adapt\[gguf\]', or take Q8_0$"):
        require_extra("gguf", "type Q4_K_M", "take Q8_0")
    monkeypatch.setattr(extras, "find_spec", lambda package: object())
    require_extra("gguf", "type Q4_K_M")
