"""A run folder from Python."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.pipeline.open_run import open_run
from jp_adapt.pipeline.report import rebuild_report
from jp_adapt.pipeline.run_folder import RunRecord
from jp_adapt.report.run_summary import RunSummary, read_control
from tests.report.test_run_page import sample_summary, summary_of


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
