"""What is refused before a model is asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from jp_adapt.benchmarks.benchmark import Protocol
from jp_adapt.benchmarks.profiles import PROFILES
from jp_adapt.core.errors import UsageError
from jp_adapt.core.extras import PACKAGES
from jp_adapt.evaluation.run import run_benchmark


def test_a_metric_whose_packages_are_missing_is_told_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PACKAGES, "nagisa", "no_such_package")
    loaded: Any = SimpleNamespace(id="ja/wmt20-en-ja", benchmark=SimpleNamespace(kind="generate"))
    protocol = Protocol.model_validate({"prompt": "x", "max_chars": 9, "metrics": ["nagisa_bleu"]})
    with pytest.raises(UsageError, match=r"ja/wmt20-en-ja: metric nagisa_bleu: no_such_package is not installed; pip install 'jp-adapt\[nagisa\]'"):
        run_benchmark(loaded, protocol, [], cast("Any", None), PROFILES["swallow"], lambda done, note: None)
