"""The run folder keeps nothing that a killed process left half written."""

from __future__ import annotations

from pathlib import Path

import pytest

from jp_adapt.core.errors import InputError
from jp_adapt.core.files import write_json
from jp_adapt.pipeline.run_folder import RunFolder, StageFolder, StageRecord


def test_sweep_takes_temporary_files_and_folders_and_nothing_else(tmp_path: Path) -> None:
    stage = tmp_path / "stages" / "eval"
    (stage / ".final.abc.tmp").mkdir(parents=True)
    (stage / ".final.abc.tmp" / "half.safetensors").write_bytes(b"\0")
    (stage / ".stage.json.x1.tmp").write_text("{", encoding="utf-8")
    (stage / "stage.json").write_text("{}", encoding="utf-8")
    (tmp_path / ".lock").touch()
    RunFolder(tmp_path).sweep()
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [".lock", "stage.json"]


def test_what_a_kill_or_a_power_cut_leaves_in_the_metrics_does_not_end_a_resumed_run(tmp_path: Path) -> None:
    stage = StageFolder(tmp_path)
    for step in (1, 2, 3):
        stage.add_metrics({"step": step, "loss": float("nan")})
    whole = stage.metrics.read_bytes()
    stage.metrics.write_bytes(whole + b"\0" * 40 + b"\n" + b'\0\0\0"loss": 1.0}\n' + b'{"step": 4, "lo')
    assert [line["step"] for line in stage.read_metrics()] == [1, 2, 3]
    stage.keep_metrics_until(2)
    assert stage.metrics.read_bytes() == b"".join(whole.splitlines(keepends=True)[:2])


def test_a_record_of_an_earlier_version_is_still_read(tmp_path: Path) -> None:
    stage = StageFolder(tmp_path / "cpt")
    assert stage.record() is None
    write_json(stage.path / "stage.json", {"id": "cpt", "fingerprint": "ab", "identity": {"seed": 1}})
    stage.finish("pretrain", 1.5, None, {"steps": 3})
    assert stage.record() == StageRecord("cpt", "ab", {"seed": 1}, "pretrain", 1.5, None, {"steps": 3})
    assert stage.done


def test_the_end_of_long_metrics_is_read_alone(tmp_path: Path) -> None:
    stage = StageFolder(tmp_path)
    assert stage.last_metrics() == []
    for step in range(1000):
        stage.add_metrics({"step": step, "note": "あ" * 20})
    with stage.metrics.open("a", encoding="utf-8") as file:
        file.write('{"step": 1000')
    last = stage.last_metrics()
    assert [line["step"] for line in last] == list(range(1000 - len(last), 1000))
    assert 50 < len(last) < 500
    with stage.metrics.open("a", encoding="utf-8") as file:
        file.write("}\n[]\n")
    with pytest.raises(InputError, match=r"metrics.jsonl, near its end: not the metrics of a step"):
        stage.last_metrics()
