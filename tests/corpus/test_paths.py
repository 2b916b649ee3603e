"""Patterns become files, in order and once; what names no file is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from jp_adapt.core.errors import InputError
from jp_adapt.corpus.sources import expand_paths


def test_patterns_become_files_in_order_and_once(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("b1.jsonl", "b2.jsonl", "a.txt", "c[1].txt", "deep/d.txt", "deep/er/e.txt"):
        (tmp_path / name).touch()

    def results(*patterns: str) -> list[str]:
        return [path.relative_to(tmp_path).as_posix() for path in expand_paths([str(tmp_path / pattern) for pattern in patterns])]

    assert results("b2.jsonl", "a.txt") == ["b2.jsonl", "a.txt"]
    assert results("b?.jsonl", "a.txt") == ["b1.jsonl", "b2.jsonl", "a.txt"]
    assert results("b2.jsonl", "b*", "deep/../b1.jsonl") == ["b2.jsonl", "b1.jsonl"]
    assert results("*") == ["a.txt", "b1.jsonl", "b2.jsonl", "c[1].txt"]
    assert results("[ab].txt", "c[1].txt") == ["a.txt", "c[1].txt"]
    assert results("**/*.txt") == ["a.txt", "c[1].txt", "deep/d.txt", "deep/er/e.txt"]
    assert expand_paths([]) == []


def test_a_relative_pattern_stays_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.txt").touch()
    monkeypatch.chdir(tmp_path)
    assert expand_paths(["*.txt", "x.txt"]) == [Path("x.txt")]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("none.txt", r"none\.txt: no such file; check the path"),
        ("*.parquet", r"\*\.parquet: no file matches this pattern; check it"),
        ("fold*", r"fold\*: no file matches this pattern"),
        ("folder", r"folder: is a folder; give its files, or a pattern such as .*folder/\*\.jsonl"),
        ("link*", r"link\.txt: no such file; check the path"),
        ("a" * 300, r"a: cannot be read \(File name too long\)"),
    ],
)
def test_a_pattern_that_names_no_file_is_refused(tmp_path: Path, pattern: str, message: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.txt").symlink_to(tmp_path / "gone.txt")
    with pytest.raises(InputError, match=message):
        expand_paths([str(tmp_path / pattern)])
