"""`jp-adapt ui` before it serves: what is wrong is told, and nothing listens."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from jp_adapt.cli.main import main
from jp_adapt.core.extras import PACKAGES
from tests.ui.pages import write_training_run


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


def test_an_endpoint_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for given, said in (
        (["--endpoint", "gpt=api.example.com"], "'api.example.com' is not an address of an endpoint"),
        (["--endpoint", "gpt=http://127.0.0.1:1/v1", "--api-key-env", "gpt=NO_SUCH_KEY"], "the environment variable NO_SUCH_KEY is not set"),
        (["--api-key-env", "gpt=NO_SUCH_KEY"], "no --endpoint has the name gpt"),
    ):
        assert main(["ui", str(tmp_path), "--no-browser", *given]) == 2
        assert said in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["ui", str(tmp_path), "--endpoint", "http://127.0.0.1"])
    assert "'http://127.0.0.1' is not NAME=VALUE" in capsys.readouterr().err


@pytest.mark.programs
@pytest.mark.parametrize("pause_s", [0.05, 0.1])
def test_ctrl_c_twice_while_pages_watch_is_no_traceback(tmp_path: Path, pause_s: float) -> None:
    write_training_run(tmp_path / "runs" / "a", steps=4)
    command = [sys.executable, "-m", "jp_adapt", "ui", str(tmp_path / "runs"), "--no-browser"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stderr is not None
        address = process.stderr.readline().strip()
        watching = [urlopen(f"{address}api/live?p=a") for _ in range(10)]
        assert all(b"stages" in stream.readline() for stream in watching)
        process.send_signal(signal.SIGINT)
        time.sleep(pause_s)
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)
        assert process.stderr.read() == "Only this machine can open it; Ctrl-C ends it.\nended\n"
