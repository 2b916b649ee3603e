"""SIGTERM ends a command as Ctrl-C does, and only within the command."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from jp_adapt.cli.main import main
from jp_adapt.core.signals import sigterm_as_interrupt


def test_sigterm_is_an_interrupt_within_the_block() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), sigterm_as_interrupt():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_command_that_is_terminated_says_what_is_kept(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("jp_adapt.cli.list.main", lambda args: os.kill(os.getpid(), signal.SIGTERM) or 0)
    assert main(["list"]) == 130
    assert capsys.readouterr().err == "interrupted; nothing was kept\n"


def test_another_thread_leaves_signals_alone() -> None:
    results: list[int] = []
    thread = threading.Thread(target=lambda: results.append(main(["list", "--json"])))
    thread.start()
    thread.join()
    assert results == [0]
