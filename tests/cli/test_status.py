"""`status` and `runs` on the folder of a run: finished, running, interrupted, damaged."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from jp_adapt.cli.main import main
from jp_adapt.core.lock import folder_lock


def run_folder(folder: Path) -> Path:
    """A run folder whose tokenizer stage is done, whose rows stage has begun, and whose last stage waits."""
    stages = [{"id": "tok", "kind": "tokenizer"}, {"id": "rows", "kind": "rows"}, {"id": "model", "kind": "export"}]
    for name in ("tok", "rows"):
        (folder / "stages" / name).mkdir(parents=True)
    run = {"format": 1, "name": "mine", "created": "2026-11-29", "jp_adapt": "0.1.0", "recipe": "mine.yaml"}
    (folder / "run.json").write_text(json.dumps(run), encoding="utf-8")
    (folder / "resolved.yaml").write_text(json.dumps({"stages": stages}), encoding="utf-8")
    record = {"id": "tok", "fingerprint": "0", "identity": {}, "elapsed_s": 3.2}
    (folder / "stages" / "tok" / "stage.json").write_text(json.dumps(record), encoding="utf-8")
    (folder / "stages" / "tok" / "DONE").write_text("x\n", encoding="utf-8")
    (folder / "stages" / "rows" / "metrics.jsonl").write_text('{"step": 1}\n{"step": 2}\n{"step": 3', encoding="utf-8")
    return folder


def test_status_of_a_run_in_the_middle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run_folder(tmp_path / "run")
    assert main(["status", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "stage  kind       state    progress",
        "tok    tokenizer  done     3.2 s",
        "rows   rows       stopped  step 2",
        "model  export     waiting",
        "rows was interrupted; the same `jp-adapt run` goes on from there",
    ]
    assert main(["status", str(folder), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)[1]
    assert {key: value for key, value in rows.items() if value is not None} == {"id": "rows", "kind": "rows", "state": "stopped", "step": 2}


def _train(folder: Path, first: int, last: int) -> None:
    """Steps of the stage `rows`: 40 in all, 100 tokens and half a second each."""
    lines = [{"step": n, "num_steps": 40, "loss_nats_per_token": 9 - n / 10, "tokens": 100 * n, "elapsed_s": n / 2} for n in range(first, last + 1)]
    with (folder / "stages" / "rows" / "metrics.jsonl").open("w" if first == 0 else "a", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)


def test_status_says_how_long_a_running_stage_will_take(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run_folder(tmp_path / "run")
    _train(folder, 0, 30)
    with folder_lock(folder):
        assert main(["status", str(folder)]) == 0
        assert capsys.readouterr().out.splitlines()[2] == "rows   rows       running  30/40, loss 6.000, 200 tokens/s, 5.0 s left"
        assert main(["runs", str(tmp_path)]) == 0
        head, line = capsys.readouterr().out.splitlines()
        assert head.split() == ["kind", "path", "state", "figures", "size", "date"]
        assert re.fullmatch(r"run +run +running +rows 30/40, loss 6.000, 200 tokens/s, 5.0 s left +[0-9.]+ KiB +2026-11-29 00:00", line)
    assert main(["status", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines()[2] == "rows   rows       stopped  30/40, loss 6.000"


def test_status_follows_a_run_until_it_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run_folder(tmp_path / "run")
    _train(folder, 0, 10)
    naps = 0

    def nap(seconds: float) -> None:
        nonlocal naps
        naps += 1
        if naps == 2:
            _train(folder, 11, 20)
        elif naps == 3:
            lock.__exit__(None, None, None)

    monkeypatch.setattr("jp_adapt.cli.status.time.sleep", nap)
    lock = folder_lock(folder)
    lock.__enter__()
    assert main(["status", str(folder), "--follow"]) == 0
    assert [line.split("  ")[-1].strip() for line in capsys.readouterr().out.splitlines()[2:]] == [
        "10/40, loss 8.000, 200 tokens/s, 15.0 s left",
        "waiting",
        "20/40, loss 7.000, 200 tokens/s, 10.0 s left",
        "20/40, loss 7.000",
        "rows was interrupted; the same `jp-adapt run` goes on from there",
    ]


def test_runs_of_an_empty_and_of_a_missing_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path}: nothing of jp-adapt lies here; jp-adapt run RECIPE begins a run\n"
    assert main(["runs", str(tmp_path / "no")]) == 3
    assert "no such folder; give one that holds runs or results" in capsys.readouterr().err
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert main(["runs", str(tmp_path / "file")]) == 3
    assert "file: is a file; give the folder that holds runs or results" in capsys.readouterr().err


FOREIGN = [
    ("run.json", "{}", r"run.json: not the record of a run in format 1 \(it names none\); give a folder that `jp-adapt run` wrote"),
    ("run.json", '{"format": 1, "name": 3}', "run.json: not the record of a run in format 1: name: a text is needed, not 3"),
    ("run.json", "\x00\x00", "run.json:1: not valid JSON"),
    ("resolved.yaml", "- 1", "resolved.yaml: not the recipe of a run"),
    ("resolved.yaml", "stages: [1]", "resolved.yaml: not the recipe of a run"),
    ("resolved.yaml", "stages: [{id: ../../../etc, kind: rows}]", "resolved.yaml: not the recipe of a run .the id of a stage is not a name"),
    ("resolved.yaml", "a: [", "resolved.yaml:1: not valid YAML"),
    ("stages/tok/stage.json", '{"id": "tok", "fingerprint": "0", "identity": [], "elapsed_s": "3"}', r"identity: an object is needed, not \[\]"),
    ("stages/tok/stage.json", '{"format": 2}', r"not the record of a stage in format 1 \(its format is 2\); redo the stage"),
    ("stages/rows/metrics.jsonl", '{"step": "1"}\n', "metrics.jsonl:1: not the metrics of a step"),
    ("stages/rows/metrics.jsonl", "[1]\n", "metrics.jsonl:1: not the metrics of a step"),
    ("stages/rows/metrics.jsonl", '{"step": 1}\n' + "[" * 5000 + "\n", "metrics.jsonl:2: JSON nested deeper than 100 levels"),
]


@pytest.mark.parametrize(("name", "text", "said"), FOREIGN)
def test_a_run_folder_with_a_file_of_another_shape(tmp_path: Path, name: str, text: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run_folder(tmp_path / "run")
    (folder / name).write_text(text, encoding="utf-8")
    assert main(["status", str(folder)]) == 3
    assert re.search(said, capsys.readouterr().err)


@pytest.mark.parametrize("verb", ["status", "report"])
def test_a_folder_that_is_no_run(tmp_path: Path, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in (tmp_path, tmp_path / "nothing"):
        assert main([verb, str(folder)]) == 3
        captured = capsys.readouterr()
        assert captured.out == ""
        assert f"{folder}: no run folder (it has no run.json)" in captured.err


def test_status_says_why_a_stage_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run_folder(tmp_path / "run")
    assert main(["status", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "rows was interrupted; the same `jp-adapt run` goes on from there"
    log = "T rows: begins\nT rows: stopped by InputError: the disk is full: /x\n"
    (folder / "log.txt").write_text(log, encoding="utf-8")
    assert main(["status", str(folder)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "rows failed: InputError: the disk is full: /x; the same `jp-adapt run` goes on from there"
    assert main(["status", str(folder), "--json"]) == 0
    assert [stage["stopped_by"] for stage in json.loads(capsys.readouterr().out)] == [None, "InputError: the disk is full: /x", None]
    for end in ("", "T rows: stopped by KeyboardInterrupt: \n"):  # begun again, and killed, or ended by Ctrl-C
        (folder / "log.txt").write_text(log + "T rows: begins\n" + end, encoding="utf-8")
        assert main(["status", str(folder)]) == 0
        assert "rows was interrupted" in capsys.readouterr().out
