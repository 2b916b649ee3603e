"""Which server runs a model, and with which flags."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from jp_adapt.core.errors import InputError
from jp_adapt.core.extras import missing_extra
from jp_adapt.export.gguf_folder import token_ids
from jp_adapt.inference.text_side import text_side
from jp_adapt.model.gguf_file import GgufFile


@dataclass(frozen=True)
class Server:
    """How a model is served.

    Attributes:
        command: what runs it, as it would be typed.
        installed: whether it can be run here. built_in: whether xllamacpp's server stands in for llama.cpp's program.
        address: where it will answer, OpenAI's interface.
    """

    command: list[str]
    installed: bool
    built_in: bool
    address: str


def plan_server(model: Path, *, host: str = "127.0.0.1", port: int = 8000, context: int | None = None, name: str | None = None) -> Server:
    """vLLM for a model folder, llama.cpp for a GGUF file. InputError where there is neither, or the tokenizer cannot be read."""
    if model.is_dir():
        side = text_side(model)
        length = context or side.positions
        command = ["vllm", "serve", str(model), "--served-model-name", name or model.resolve().name, "--host", host, "--port", str(port)]
        command += [] if length is None else ["--max-model-len", str(length)]
        installed = shutil.which("vllm") is not None or importlib.util.find_spec("vllm") is not None
        return Server(command, installed, False, f"http://{host}:{port}/v1")
    if not model.is_file():
        raise InputError(f"{model}: no such model; give a model folder or a GGUF file")
    token_ids(GgufFile(model))
    command = ["llama-server", "--model", str(model), "--alias", name or model.stem, "--jinja", "--host", host, "--port", str(port)]
    command += [] if context is None else ["--ctx-size", str(context)]
    program = shutil.which("llama-server") is not None
    return Server(command, program or missing_extra("gguf") is None, not program, f"http://{host}:{port}/v1")


def runnable(server: Server) -> list[str]:
    """The command with a program that can be started: vLLM's own, or its module in this Python."""
    if server.command[0] == "vllm" and shutil.which("vllm") is None:
        return [sys.executable, "-m", "vllm.entrypoints.cli.main", *server.command[1:]]
    return server.command
