"""Shipped declarations are found in a checkout and in an installed wheel."""

from __future__ import annotations

from pathlib import Path

import pytest

from jp_adapt.core import shipped

ROOT = Path(__file__).resolve().parents[2]


def test_a_checkout_reads_its_own_folders() -> None:
    assert shipped.shipped_folder("recipes") == ROOT / "recipes"
    assert shipped.shipped_recipes()["quickstart"] == ROOT / "recipes" / "quickstart.yaml"
    assert shipped.shipped_benchmarks()["quickstart/ja-everyday-100"] == ROOT / "eval" / "quickstart" / "ja-everyday-100.yaml"


def test_a_wheel_reads_what_it_carries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    carried = tmp_path / "jp_adapt" / "_shipped"
    for name in ("recipes/b.yaml", "recipes/a.yaml", "recipes/data/no.yaml", "eval/set/one.yaml", "eval/loose.yaml"):
        (carried / name).parent.mkdir(parents=True, exist_ok=True)
        (carried / name).write_text("", encoding="utf-8")
    monkeypatch.setattr(shipped, "PACKAGE", tmp_path / "jp_adapt")
    assert list(shipped.shipped_recipes()) == ["a", "b"]
    assert shipped.shipped_benchmarks() == {"set/one": carried / "eval" / "set" / "one.yaml"}
