"""The sandbox against programs that mean harm; each test says what must not happen."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from jp_adapt.core.errors import UsageError
from jp_adapt.evaluation import sandbox
from jp_adapt.evaluation.sandbox import check_isolation, run_program
from tests.data import SHARED


def _isolates() -> bool:
    try:
        check_isolation()
    except UsageError:
        return False
    return True


pytestmark = pytest.mark.skipif(not _isolates(), reason="this kernel allows no namespaces, so that no program is run (which test_refusal covers)")


@pytest.mark.parametrize(
    "program",
    [
        "assert [1, 2] == [1, 2]",
        "import typing, math, re, collections, hashlib, heapq\nassert hashlib.md5(b'a').hexdigest()",
        "open('/work/x', 'w').write('a' * 100)\nassert open('/work/x').read()",
        "def check(f):\n    assert f(3) == 9\ndef f(x: int) -> int:\n    '''二乗'''\n    return x ** 2\ncheck(f)",
    ],
)
def test_a_right_program_passes(program: str) -> None:
    assert run_program(program)


@pytest.mark.parametrize(
    "program",
    [
        "assert 1 == 2",
        "def f(:",
        "raise KeyError",
        "import sys; sys.exit(0)",
        "import os; os._exit(0)",
        "import os; [os.write(n, b'0' * 32) for n in (1, 3)]; os._exit(0)",
        "1 / 0",
        "f = lambda: f()\nf()",
    ],
)
def test_a_wrong_program_fails_however_it_ends(program: str) -> None:
    assert not run_program(program)


@pytest.mark.parametrize(
    "program",
    [
        "import socket; socket.socket()",
        "import urllib.request; urllib.request.urlopen('http://127.0.0.1:1/')",
        "import os; os.fork()",
        "import subprocess; subprocess.run(['/bin/true'])",
        "import threading; threading.Thread(target=print).start()",
        "import os; os.execv('/bin/true', ['true'])",
        "import os; os.kill(1, 9)",
        "open('/usr/x', 'w')",
        "open('/x', 'ab').write(b'a' * (3 << 20))",
        "for n in range(40):\n    open(f'/work/{n}', 'wb').write(b'a' * (1 << 20))",
        "[open('/dev/null') for _ in range(100)]",
        "x = bytearray(1 << 30)",
        "open('/etc/passwd')",
        "open('/proc/1/environ')",
        "import ctypes; assert ctypes.CDLL(None).unshare(0x10000000) == 0",
        "import ctypes; assert ctypes.CDLL(None).mount(b'none', b'/work', b'tmpfs', 0, None) == 0",
        "import os; os.chroot('/work')",
        "import os; os.setuid(1)",
    ],
)
def test_no_network_no_process_no_file_no_memory(program: str) -> None:
    assert not run_program(program)


def test_files_of_the_user_are_not_there(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x", encoding="utf-8")
    assert not run_program(f"open({str(secret)!r})")
    assert run_program(f"import os\nassert not os.path.exists({str(secret)!r}) and not os.path.exists('/etc/passwd')")
    assert not run_program(f"open({str(secret)!r}, 'w')")
    assert secret.read_text(encoding="utf-8") == "x"


def test_the_environment_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    assert run_program("import os; assert 'HF_TOKEN' not in os.environ and 'HOME' not in os.environ")


def test_time_by_the_clock_ends_a_sleeper_and_leaves_no_process() -> None:
    started = time.monotonic()
    assert not run_program("import time\ntime.sleep(60)", wall_seconds=0.7)
    assert time.monotonic() - started < 5
    left = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit() and _is_child(entry)]
    assert left == []


def _is_child(entry: Path) -> bool:
    try:
        return sandbox.CHILD.name in (entry / "cmdline").read_text(encoding="utf-8") and f"PPid:\t{os.getpid()}\n" in (entry / "status").read_text(
            encoding="utf-8"
        )
    except OSError:
        return False


def test_processor_time_ends_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "CPU_SECONDS", 1)
    assert not run_program("while True: pass", wall_seconds=8)


def test_refusal_where_isolation_cannot_be_had(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    broken = tmp_path / "child.py"
    broken.write_text(sandbox.CHILD.read_text(encoding="utf-8").replace("libc.unshare(CLONE_ALL)", "libc.unshare(-1)"), encoding="utf-8")
    monkeypatch.setattr(sandbox, "CHILD", broken)
    with pytest.raises(UsageError, match=r"this machine cannot isolate a program .*no program was run"):
        run_program(f"open({str(ran)!r}, 'w')")
    assert not ran.exists()


def test_refusal_on_another_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(UsageError, match="needs Linux"):
        check_isolation()


DATA = SHARED / "benchmarks"


@pytest.mark.skipif(not DATA.is_dir(), reason="development data is not here (JP_ADAPT_DATA names it)")
def test_the_published_solutions_of_jhumaneval_pass_and_others_fail() -> None:
    """JHumanEval/64 is broken as published (its docstring closes on the line of the function's name): 163 of 164 can be solved."""
    from jp_adapt.benchmarks.items import load_benchmark
    from jp_adapt.benchmarks.templates import render

    loaded = load_benchmark("ja/jhumaneval", DATA)
    for item in loaded.items[4::12]:
        program, wrong = (
            render(str(loaded.benchmark.test_program), item.fields | {"generation": text}) for text in (item.answers[0], "    return 'x'\n    raise\n")
        )
        assert run_program(program) == (item.id != "JHumanEval/64"), item.id
        assert not run_program(wrong), item.id
