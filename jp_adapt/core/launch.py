"""One run in several processes on this machine: start them, pass signals on, and stop all of them when one ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from types import FrameType

from jp_adapt.core.errors import UsageError
from jp_adapt.core.progress import say

GRACE_S = 20.0  # for the others to end by themselves (an interrupted rank 0 is still saving) before they are killed
LAUNCHED = "JP_ADAPT_LAUNCHED"


def several_processes() -> bool:
    """Whether this process is one of several, as `run_processes`, torchrun and accelerate launch make them. `training.ranks` knows more, and needs torch."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def is_first_process() -> bool:
    """Whether this process is the one that writes and reports."""
    return int(os.environ.get("RANK", "0")) == 0


def run_processes(count: int, arguments: Sequence[str]) -> int:
    """Run `jp-adapt ARGUMENTS` in `count` processes that find each other as under torchrun; 0, or the exit code of the one that failed."""
    if "RANK" in os.environ:
        raise UsageError(f"--processes {count}: this is already one of several processes (RANK is set); leave --processes to torchrun or accelerate launch")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    threads = str(max(1, (os.cpu_count() or 1) // count))
    shared = {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), LAUNCHED: "1"}
    processes = []
    for rank in range(count):
        environment = {"OMP_NUM_THREADS": threads, **os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}
        command = [sys.executable, "-m", "jp_adapt", *arguments]
        # In a session of their own, so that a Ctrl-C reaches each once, from here; stdin ends when this process does, however it does.
        processes.append(subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, start_new_session=True))

    def forward(number: int, frame: FrameType | None) -> None:
        for process in processes:
            if process.poll() is None:
                process.send_signal(number)

    previous = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        return _wait(processes)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _wait(processes: list[subprocess.Popen[bytes]]) -> int:
    failed: tuple[int, int] | None = None  # (rank, code)
    deadline = float("inf")
    while any(process.poll() is None for process in processes):
        if failed is None:
            failed = next(((rank, process.returncode) for rank, process in enumerate(processes) if process.poll()), None)
            deadline = time.monotonic() + GRACE_S if failed else deadline
        if time.monotonic() > deadline:
            for process in processes:
                process.kill()
        time.sleep(0.05)
    codes = [process.returncode for process in processes]
    # A process that meets an error tells it, then takes a while to end; one that waited for it may be seen to end first (1, or aborted by gloo).
    given = next((code for code in codes if code > 1), None)
    if given is not None:
        return given
    if failed is None:
        failed = next(((rank, code) for rank, code in enumerate(codes) if code), None)
    if failed is None:
        return 0
    rank, code = failed
    if code < 0:
        name = signal.Signals(-code).name
        say(f"error: process {rank} of {len(processes)} was ended by {name}, and all were stopped. The last checkpoint is kept, and the same command resumes")
        return 1
    return code


def refuse_accelerates_own() -> None:
    """UsageError where `accelerate launch` was configured to shard the model, which a recipe says."""
    for name in ("FSDP", "DEEPSPEED", "MEGATRON_LM"):
        if os.environ.get(f"ACCELERATE_USE_{name}", "false").lower() == "true":
            raise UsageError(
                f"accelerate's configuration asks for {name}; a recipe says itself how a model is spread over processes (distributed: fsdp, or "
                "distributed: deepspeed and deepspeed: FILE.json). Take it out of the configuration, or start with jp-adapt run --processes N or torchrun"
            )


def end_with_launcher() -> None:
    """In a process that `run_processes` started: end at once when the launcher is gone, so that none is left behind holding the run folder."""
    if os.environ.get(LAUNCHED) is None:
        return

    def watch() -> None:
        os.read(0, 1)  # not sys.stdin: its lock would still be held at exit
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
