"""`jp-adapt ui` before it serves: what is wrong is told, and nothing listens."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from jp_adapt.cli.main import main
from jp_adapt.core.extras import PACKAGES


def test_a_folder_or_model_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ui", str(tmp_path / "no"), "--no-browser"]) == 3
    assert "no: no such folder; give one that holds runs or results" in capsys.readouterr().err
    assert main(["ui", str(tmp_path), "--no-browser", "--model", str(tmp_path / "no")]) == 3
    assert "no: no such model; give a model folder, a tokenizer, or a GGUF file" in capsys.readouterr().err


def test_a_port_that_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["ui", str(tmp_path), "--no-browser", "--port", str(port)]) == 2
    assert f"port {port} cannot be used (Address already in use); give another --port, or none for a free one" in capsys.readouterr().err


def test_the_extra_is_named_where_it_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PACKAGES, "ui", "no_such_package")
    assert main(["ui", str(tmp_path), "--no-browser"]) == 2
    assert "jp-adapt ui: no_such_package is not installed; pip install 'jp-adapt[ui]'" in capsys.readouterr().err
