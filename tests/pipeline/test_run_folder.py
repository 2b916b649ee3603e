"""The run folder keeps nothing that a killed process left half written."""

from __future__ import annotations

from pathlib import Path

from jp_adapt.pipeline.run_folder import RunFolder


def test_sweep_takes_temporary_files_and_folders_and_nothing_else(tmp_path: Path) -> None:
    stage = tmp_path / "stages" / "eval"
    (stage / ".final.abc.tmp").mkdir(parents=True)
    (stage / ".final.abc.tmp" / "half.safetensors").write_bytes(b"\0")
    (stage / ".stage.json.x1.tmp").write_text("{", encoding="utf-8")
    (stage / "stage.json").write_text("{}", encoding="utf-8")
    (tmp_path / ".lock").touch()
    RunFolder(tmp_path).sweep()
    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == [".lock", "stage.json"]
