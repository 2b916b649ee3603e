"""Commands of jp-adapt in processes of their own that cost no start: forks of a server that has torch, transformers and the package loaded.

A new Python process spends some seconds of processor time on imports, and the suite starts dozens. The server has computed nothing, so a fork of it is
as good as a new process. Tests of what is imported, and of torchrun and accelerate, start Python anew.
"""

from __future__ import annotations

import io
import multiprocessing
import multiprocessing.process
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.preloaded"])
_CONTEXTS: dict[str, Any] = multiprocessing.context._concrete_contexts  # type: ignore[attr-defined]
_CONTEXTS["spawn"] = FORKS  # workers of a pool need not import torch anew either


@dataclass(frozen=True)
class Ended:
    """How a command ended, as subprocess.CompletedProcess says it."""

    returncode: int
    stdout: str
    stderr: str


class Command:
    """`jp-adapt ARGUMENTS`, running. Its environment is this process's with `env` over it; a value of None takes a variable away."""

    def __init__(self, *arguments: str, env: Mapping[str, str | None] | None = None, cwd: Path | None = None, prepare: Callable[[], Any] | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="jp-adapt-command-")
        environment = {name: value for name, value in {**os.environ, **(env or {})}.items() if value is not None}
        streams = (str(Path(self._folder.name, "stdout")), str(Path(self._folder.name, "stderr")))
        self._process = FORKS.Process(target=_command, args=(arguments, environment, str(cwd or Path.cwd()), streams, prepare))
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """The exit code (negative: the signal), or None while it runs."""
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill -9, and wait for its end."""
        self.send_signal(signal.SIGKILL)
        self.wait()

    def wait(self, timeout: float = 200) -> Ended:
        """Its end.

        Raises:
            TimeoutError: it still runs after `timeout` seconds; it is killed.
        """
        self._process.join(timeout)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
            raise TimeoutError(f"still running after {timeout} s")
        texts = [path.read_text(encoding="utf-8", errors="replace") if path.exists() else "" for path in (self._path("stdout"), self._path("stderr"))]
        self._folder.cleanup()
        return Ended(self._process.exitcode, *texts)

    def _path(self, name: str) -> Path:
        return Path(self._folder.name, name)


def run(*arguments: str, timeout: float = 200, **options: Any) -> Ended:
    """`jp-adapt ARGUMENTS` to its end."""
    return Command(*arguments, **options).wait(timeout)


def _command(arguments: Sequence[str], environment: dict[str, str], cwd: str, streams: tuple[str, str], prepare: Callable[[], Any] | None) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    for number, path in zip((1, 2), streams, strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600), number)
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w", closefd=False), encoding="utf-8", write_through=True)
    sys.stderr = io.TextIOWrapper(io.FileIO(2, "w", closefd=False), encoding="utf-8", errors="backslashreplace", write_through=True)
    sys.path[:0] = [entry for entry in environment.get("PYTHONPATH", "").split(os.pathsep) if entry and entry not in sys.path]
    import torch

    from jp_adapt.cli.main import main
    from jp_adapt.core import launch

    torch.set_num_threads(int(environment.get("OMP_NUM_THREADS", "1")))
    launch.subprocess = _Forks()  # type: ignore[assignment]  # ranks are forks too, and so are the workers of a pool
    _CONTEXTS["spawn"] = multiprocessing.get_context("fork")
    if prepare is not None:
        prepare()
    sys.exit(main(list(arguments)))


class _Forks:
    """What `core.launch` takes of the module subprocess."""

    PIPE = -1

    class Popen:
        def __init__(self, command: Sequence[str], *, env: dict[str, str], **_: Any) -> None:
            reading, writing = os.pipe()
            self.pid = os.fork()
            if self.pid == 0:
                os.close(writing)
                os.dup2(reading, 0)
                os.setsid()
                _be_a_rank(command[3:], env)
            os.close(reading)
            self.stdin, self.returncode = os.fdopen(writing, "wb"), None

        def poll(self) -> int | None:
            if self.returncode is None:
                ended, status = os.waitpid(self.pid, os.WNOHANG)
                self.returncode = os.waitstatus_to_exitcode(status) if ended else None
            return self.returncode

        def send_signal(self, number: int) -> None:
            if self.poll() is None:
                os.kill(self.pid, number)

        def kill(self) -> None:
            self.send_signal(signal.SIGKILL)


def _be_a_rank(arguments: Sequence[str], environment: dict[str, str]) -> None:
    import torch

    from jp_adapt.cli.main import main

    code = 1
    try:
        os.environ.update(environment)
        torch.set_num_threads(int(environment["OMP_NUM_THREADS"]))
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        code = main(list(arguments))
    finally:
        os._exit(code)
