"""vLLM's own server, from an environment of its own: it needs another transformers than this project."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

PROGRAM = os.environ.get("JP_ADAPT_VLLM", "")
needs_vllm = pytest.mark.skipif(not PROGRAM, reason="JP_ADAPT_VLLM does not name a vllm program (make test-serving sets it up)")
START_S = 600


@contextmanager
def vllm_server(command: list[str], log: Path, dtype: str = "float32", options: Sequence[str] = ("--enforce-eager", "--max-num-seqs", "4")) -> Iterator[str]:
    """The address of a server started by `command` (vllm serve ...) with `options`, which listens on a free port here and computes in `dtype`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = [*command[1:], *options, "--host", "127.0.0.1", "--port", str(port), "--dtype", dtype]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen([PROGRAM, *arguments], stdout=output, stderr=subprocess.STDOUT, env=env, start_new_session=True)
        try:
            address = f"http://127.0.0.1:{port}"
            _wait(process, address, log)
            yield address
        finally:
            process.terminate()
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            if httpx2.get(f"{address}/health", timeout=5).is_success:
                return
        except httpx2.HTTPError:
            time.sleep(1)
    pytest.fail("vLLM did not start:\n" + "\n".join(log.read_text(encoding="utf-8").splitlines()[-30:]))
