"""One living process owns a folder; a dead one owns nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jp_adapt.core.errors import RunFolderError
from jp_adapt.core.lock import folder_lock, is_locked

HOLD = """
import sys, time
from pathlib import Path
from jp_adapt.core.lock import folder_lock, is_locked
with folder_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def _holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock of `folder` until its stdin closes."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_a_second_process_is_refused_and_kill_9_releases(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "x"
    with _holder(folder) as process:
        with pytest.raises(RunFolderError, match="another jp-adapt process is working here; wait for it, or give another --out"), folder_lock(folder):
            pytest.fail("two owners")
        process.kill()
        process.wait()
        with folder_lock(folder):
            pass


def test_the_end_of_the_block_releases(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), folder_lock(tmp_path):
        raise ZeroDivisionError
    with folder_lock(tmp_path):
        pass
    with _holder(tmp_path) as process:
        assert process.poll() is None


def test_two_folders_have_two_locks(tmp_path: Path) -> None:
    with folder_lock(tmp_path / "a"), folder_lock(tmp_path / "b"):
        assert (tmp_path / "a" / ".lock").is_file()
        assert (tmp_path / "b" / ".lock").is_file()


def test_a_look_at_the_lock_changes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    assert not is_locked(folder)
    assert not folder.exists()
    with _holder(folder) as process:
        assert is_locked(folder)
        process.kill()
        process.wait()
        assert not is_locked(folder)
    with folder_lock(folder):
        pass
