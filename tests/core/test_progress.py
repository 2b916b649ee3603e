"""Off a terminal, progress is a line now and then on stderr, and stdout stays empty."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from jp_adapt.core import progress as module
from jp_adapt.core.progress import progress, say


def test_lines_are_few_and_the_last_one_always_comes(capsys: pytest.CaptureFixture[str]) -> None:
    with progress("cpt", 100) as advance:
        for step in range(101):
            advance(step, f"loss {step}")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "  cpt 100/100  loss 100\n"
    with progress("bits", 2) as advance:
        for _ in range(4):
            advance(2, "")
    assert capsys.readouterr().err.count("bits 2/2") == 1, "the end comes once"


def test_a_reader_of_stderr_that_left_stops_nothing(tmp_path: Path) -> None:
    code = "from jp_adapt.core.progress import say\nfor number in range(3000): say('x' * 100)\nopen('done', 'w').write('done')"
    shell = f"'{sys.executable}' -c \"{code}\" 2>&1 | true"
    subprocess.run(["bash", "-c", shell], cwd=tmp_path, timeout=60, check=True)
    assert (tmp_path / "done").read_text() == "done"


def test_a_slow_run_says_how_long_it_will_take(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 5.0, 20.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    with progress("cpt", 40) as advance:
        advance(1, "early")
        advance(10, "loss 2.0")
    assert capsys.readouterr().err == "  cpt 10/40  loss 2.0  about 60 s left\n"


def test_say_writes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    say("日本")
    assert capsys.readouterr() == ("", "日本\n")
