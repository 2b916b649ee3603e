"""`jp-adapt eval compare`, `eval published` and `eval page` as a user meets them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jp_adapt.cli.main import main
from tests.evaluation.test_compare import coins, write_run


@pytest.fixture
def runs(tmp_path: Path) -> tuple[str, str]:
    base = coins(0.5, 200, 1)
    better = [1.0 if n % 5 == 0 else value for n, value in enumerate(base)]
    return str(write_run(tmp_path / "base", {"ja/x": base, "ja/y": base})), str(write_run(tmp_path / "adapted", {"ja/x": better, "ja/y": base}))


def test_a_table_with_verdicts(runs: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "compare", *runs]) == 0
    text = capsys.readouterr().out
    assert "A: base, B: adapted" in text
    assert "adapted is better than base by " in text
    assert "base and adapted cannot be told apart (p = 1.000)" in text
    assert "p values are corrected for 2 tests (Holm)." in text
    assert main(["eval", "compare", *runs, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [entry["id"] for entry in report["pairs"][0]["benchmarks"]] == ["ja/x", "ja/y"]


def test_pages(runs: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    assert main(["eval", "compare", *runs, "--html", str(page)]) == 0
    assert f"Page: {page}" in capsys.readouterr().out
    assert main(["eval", "compare", *runs, "--html", str(page)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["eval", "page", runs[0]]) == 0
    assert (Path(runs[0]) / "index.html").is_file()


def test_published(runs: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "published", runs[0]]) == 0
    assert "nothing published with this protocol" in capsys.readouterr().out


def test_wrong_use(runs: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "compare", runs[0]]) == 2
    assert "give at least two runs" in capsys.readouterr().err
    assert main(["eval", "compare", runs[0], str(tmp_path / "nothing")]) == 3
    assert "nothing: no such file; give the folder that `jp-adapt eval`" in capsys.readouterr().err
    assert main(["eval", "compare", runs[0], str(tmp_path)]) == 3
    assert f"{tmp_path}/scores.json: no such file; give the folder that `jp-adapt eval` or `jp-adapt judge` wrote" in capsys.readouterr().err
    other = write_run(tmp_path / "other", {"ja/x": [1.0, 0.0]}, name="ja/x@llm-jp-eval-1.3/4-shot/accuracy")
    assert main(["eval", "compare", runs[0], str(other)]) == 3
    assert "these scores measure different things and are not compared" in capsys.readouterr().err
