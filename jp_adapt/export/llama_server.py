"""llama.cpp's server, out of the package xllamacpp, in a process of its own: what stops llama.cpp is an error here, and its log stays away.

As a module it is that process: `python -m jp_adapt.export.llama_server SETTINGS`, with the settings as JSON; it prints its address, and ends with its stdin.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jp_adapt.core.errors import JpAdaptError
from jp_adapt.core.extras import require_extra


@contextmanager
def llama_server(
    model: Path, *, context: int = 0, exact: bool = False, host: str = "127.0.0.1", port: int = 0, parallel: int = 1, name: str | None = None
) -> Iterator[str]:
    """The address (http://host:port) of a server that has loaded `model`; it ends with the block.

    Args:
        context: tokens of a conversation; 0 is the model's own length.
        exact: keys and values in float32, and no flash attention; otherwise float16, as the server's own default.
        port: 0 takes a free one. parallel: conversations at a time, each with `context` tokens.
        name: what clients ask for; by default the path of the file.

    Raises:
        UsageError: xllamacpp is not installed. JpAdaptError: llama.cpp does not load the file, with its own words.
    """
    require_extra("gguf", "llama.cpp")
    settings = {"model": str(model), "context": context, "exact": exact, "host": host, "port": port, "parallel": parallel, "name": name}
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        command = [sys.executable, "-m", "jp_adapt.export.llama_server", json.dumps(settings)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            address = process.stdout.readline().strip()
            if not address:
                process.wait()
                raise JpAdaptError(f"{model}: llama.cpp does not load it ({_reason(log)})")
            yield address
        finally:
            process.stdin.close()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


def _reason(log: Any) -> str:
    """The line of the log that tells most: the first error, else the last line."""
    log.seek(0)
    lines = [line.strip() for line in log if line.strip()]
    errors = [line for line in lines if "error" in line.lower() or "GGML_ASSERT" in line]
    return str((errors or lines or ["it ended without a word"])[0])


def _serve(settings: dict[str, Any]) -> None:
    address_to = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # llama.cpp's own lines
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = settings["model"]
    if settings["name"] is not None:
        params.model_alias = {settings["name"]}
    params.n_parallel = settings["parallel"]
    params.n_ctx = settings["context"] * settings["parallel"]
    params.hostnames = [settings["host"]]
    params.port = settings["port"]
    params.warmup = params.ui = False
    params.fit_params = False
    threads = os.environ.get("OMP_NUM_THREADS", "")
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = int(threads) if threads.isdecimal() else os.cpu_count() or 1
    if settings["exact"]:
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    server = xllamacpp.Server(params)
    print(server.listening_address, file=address_to, flush=True)
    sys.stdin.read()
    os._exit(0)  # llama.cpp's threads are not waited for


if __name__ == "__main__":
    _serve(json.loads(sys.argv[1]))
