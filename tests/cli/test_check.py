"""`jp-adapt check` on everything that is written by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jp_adapt.cli.main import main
from tests.conftest import ROOT

EVAL = ROOT / "eval"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (EVAL / "quickstart" / "ja-everyday-100.yaml", "benchmark: Japanese everyday knowledge, 100 four-choice questions (multiple_choice), 100 items"),
        (EVAL / "ja" / "jnli.yaml", "its items are read with eval --data"),
        (EVAL / "suites" / "ja-core.yaml", "suite: "),
        (EVAL / "judge" / "rakuda.yaml", "judge: "),
        (ROOT / "recipes" / "corpora" / "quickstart-corpus.yaml", "(sources)"),
    ],
    ids=lambda part: part.stem if isinstance(part, Path) else None,
)
def test_each_kind_is_known_by_its_keys(path: Path, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(path)]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{path}: OK, no problems\n")
    assert said in out
    assert main(["check", str(path), "--json"]) == 0
    assert isinstance(json.loads(capsys.readouterr().out), dict)


def test_a_merge_recipe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "merge.yaml"
    path.write_text("name: mine\nmethod: linear\nmodels: {a: {path: a, weight: 0.5}, b: {path: b, weight: 0.5}}\n", encoding="utf-8")
    assert main(["check", str(path)]) == 0
    assert "merge: linear of a, b" in capsys.readouterr().out
    assert main(["check", str(path), "-s", "method=linaer"]) == 2
    assert "did you mean 'linear'?" in capsys.readouterr().err


def test_a_wrong_benchmark_is_told_as_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text((EVAL / "ja" / "jnli.yaml").read_text(encoding="utf-8").replace("title:", "titel:"), encoding="utf-8")
    assert main(["check", str(path)]) == 2
    err = capsys.readouterr().err
    assert "titel" in err
    assert "stages" not in err


def test_settings_are_of_recipes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(EVAL / "ja" / "jnli.yaml"), "-s", "a=1"]) == 2
    assert "-s a=1: settings are of recipes" in capsys.readouterr().err


def test_a_corpus_recipe_is_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "quickstart-corpus"]) == 2
    assert "'quickstart-corpus' is a corpus recipe; give it to: jp-adapt corpus prepare quickstart-corpus" in capsys.readouterr().err
