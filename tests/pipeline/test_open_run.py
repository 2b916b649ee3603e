"""A run folder from Python."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jp_adapt.cli.main import main
from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.pipeline.open_run import open_run
from jp_adapt.pipeline.report import rebuild_report
from jp_adapt.pipeline.run_folder import RunRecord, StageRecord
from jp_adapt.report.run_summary import HeldOutText, RunSummary, StageEvaluation, TextFigures, check_control, read_control
from tests.report.run_summaries import sample_summary, summary_of


def make_run(folder: Path, *, done: bool) -> Path:
    (folder / "stages" / "tok").mkdir(parents=True)
    RunRecord(folder.name, "2026-11-29", "0.1.0", "mine.yaml").write(folder / "run.json")
    (folder / "resolved.yaml").write_text(json.dumps({"stages": [{"id": "tok", "kind": "tokenizer"}]}), encoding="utf-8")
    if done:
        (folder / "stages" / "tok" / "DONE").touch()
        summary_of(sample_summary()).write(folder / "report" / "summary.json")
    return folder


def test_the_summary_of_a_run_is_typed_and_a_table(tmp_path: Path) -> None:
    run = open_run(make_run(tmp_path / "a", done=True))
    summary = run.summary
    assert isinstance(summary, RunSummary)
    assert summary.headline.chars_per_token.adapted == 1.234
    frame = summary.to_pandas()
    assert list(frame["stage"].unique()) == ["rows", "pretrain"]
    assert frame[frame["stage"] == "rows"]["bits_per_char_ja"].count() == 7
    assert repr(run).startswith("<Run 'a' in ")
    assert repr(run).endswith(": 1 of 1 stages done>")
    with pytest.raises(InputError, match="the run has no report yet"):
        _ = open_run(make_run(tmp_path / "b", done=False)).summary


def test_a_summary_of_an_earlier_version_is_refused_with_the_way_out(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", done=True)
    (run / "report" / "summary.json").write_text('{"headline": {}}', encoding="utf-8")
    with pytest.raises(InputError, match=r"summary.json: not the summary of a run in format 2 \(it names none\); write it again with `jp-adapt report RUN`"):
        _ = open_run(run).summary


def test_the_figures_of_another_run_are_read_by_its_folder_or_its_file(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", done=True)
    value = sample_summary()
    value["provenance"]["stages"][1]["id"] = "pretrain"  # as the second curve
    summary_of(value).write(run / "report" / "summary.json")
    control = read_control(run)
    assert control == read_control(run / "report" / "summary.json")
    assert control.headline.chars_per_token.adapted == 1.234
    assert control.training_s == 3725.0, "of the stages that trained, and of no other"
    with pytest.raises(InputError, match=r"a/nothing: no such file; the control is a run's folder, or its report/summary.json"):
        read_control(run / "nothing")
    value["headline"] = {}
    summary_of(value).write(run / "report" / "summary.json")
    with pytest.raises(InputError, match="this run measured none of the headline's figures"):
        read_control(run)


def test_a_run_is_no_control_of_its_own(tmp_path: Path) -> None:
    for control in (tmp_path, tmp_path / "report" / "summary.json"):
        with pytest.raises(UsageError, match="is the run itself; give another run"):
            rebuild_report(tmp_path, str(control))


def finished(folder: Path, *, base: str = "a", text: str | None = "t", chars: int = 100) -> Path:
    """A run that measured one benchmark and one text, and has its report; `base` and `text` stand for what the base and the text are."""
    recipe = {"base": {"path": "model"}, "sources": {"ja": {"path": "ja.jsonl", "language": "ja"}}}
    recipe |= {"stages": [{"id": "eval", "kind": "evaluate", "models": ["base"], "texts": ["ja"]}]}
    stage = folder / "stages" / "eval"
    (stage / "final").mkdir(parents=True)
    RunRecord(folder.name, "2026-11-29", "0.1.0", "mine.yaml").write(folder / "run.json")
    (folder / "resolved.yaml").write_text(json.dumps({"name": folder.name, **recipe}), encoding="utf-8")
    StageRecord("eval", "", {"upstream": {"base": base}}, "evaluate").write(stage / "stage.json")
    figures = TextFigures(50, 2.0, 1.0, 4.0, 1.5)
    StageEvaluation(texts=[HeldOutText("ja", "ja", 1, chars, 300, figures, figures, sha256=text)]).write(stage / "final" / "evaluation.json")
    (stage / "DONE").touch()
    (folder / "env.json").write_text("{}", encoding="utf-8")
    rebuild_report(folder)
    return folder


def test_a_control_stays_until_another_or_none_is_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, other = finished(tmp_path / "run"), finished(tmp_path / "other")
    assert rebuild_report(run).control is None
    assert rebuild_report(run, other).control == read_control(other)
    shutil.rmtree(other)
    assert getattr(rebuild_report(run).control, "name", "") == "other"
    assert main(["report", str(run), "--control", "none"]) == 0
    assert rebuild_report(run).control is None
    assert "note" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("differs", "words"),
    [
        ({"base": "b"}, r"its base is model \(b...\), this run's model \(a...\)"),
        ({"text": "u"}, r"other text: ja \(100 characters, hash u...\), this run on ja \(100 characters, hash t...\)"),
        ({"text": None, "chars": 101}, r"other text: ja \(101 characters, hash unknown\)"),
    ],
)
def test_a_control_on_another_base_or_text_is_refused(tmp_path: Path, differs: dict[str, Any], words: str) -> None:
    run, other = finished(tmp_path / "run"), finished(tmp_path / "other", **differs)
    with pytest.raises(InputError, match=f"control other does not stand beside run run: .*{words}"):
        rebuild_report(run, other)
    assert RunSummary.read(run / "report" / "summary.json").control is None


def test_what_of_a_control_could_not_be_compared_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, other = finished(tmp_path / "run"), finished(tmp_path / "other", text=None)
    assert rebuild_report(run, other).control is not None
    assert "that control other has the same text ja was not checked" in capsys.readouterr().err
    summary = RunSummary.read(run / "report" / "summary.json")
    assert summary.control is not None
    assert check_control(summary, replace(summary.control, base={}, base_sha256=None, texts=[])) == ["base", "text ja"]


def test_the_control_of_a_recipe_that_does_not_fit_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, other = finished(tmp_path / "run"), finished(tmp_path / "other", base="b")
    recipe = json.loads((run / "resolved.yaml").read_text(encoding="utf-8"))
    for control in (other, tmp_path / "gone"):
        (run / "resolved.yaml").write_text(json.dumps(recipe | {"control": str(control)}), encoding="utf-8")
        assert rebuild_report(run).control is None
        assert "; the report goes without it" in capsys.readouterr().err
