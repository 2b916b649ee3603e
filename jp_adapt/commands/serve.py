"""Which server runs a model, and with which flags."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.core.extras import missing_extra
from jp_adapt.core.names import model_name
from jp_adapt.export.gguf_folder import token_ids
from jp_adapt.inference.text_side import refuse_longer, text_side
from jp_adapt.model.gguf_file import GgufFile
from jp_adapt.model.sources import folder_files


@dataclass(frozen=True)
class Server:
    """How a model is served.

    Attributes:
        command: what runs it, as it would be typed.
        installed: whether it can be run here. built_in: whether xllamacpp's server stands in for llama.cpp's program.
        address: where it will answer, OpenAI's interface. name: what clients ask for.
    """

    command: list[str]
    installed: bool
    built_in: bool
    address: str
    name: str


def plan_server(model: Path, *, host: str = "127.0.0.1", port: int = 8000, context: int | None = None, name: str | None = None) -> Server:
    """vLLM for a model folder, llama.cpp for a GGUF file.

    Raises:
        UsageError: more `context` than the model has positions. InputError: there is neither, no weights, or a tokenizer that cannot be read.
    """
    if model.is_dir():
        side = text_side(model)
        folder_files(model)
        refuse_longer("--context", context, side.positions)
        name = name or model_name(model)
        length = context or side.positions
        command = ["vllm", "serve", str(model), "--served-model-name", name, "--host", host, "--port", str(port)]
        command += [] if length is None else ["--max-model-len", str(length)]
        installed = shutil.which("vllm") is not None or importlib.util.find_spec("vllm") is not None
        return Server(command, installed, False, f"http://{host}:{port}/v1", name)
    if not model.is_file():
        raise InputError(f"{model}: no such model; give a model folder or a GGUF file")
    file = GgufFile(model)
    token_ids(file)
    refuse_longer("--context", context, file.fields.get(f"{file.get('general.architecture', str)}.context_length"))
    name = name or model.stem
    command = ["llama-server", "--model", str(model), "--alias", name, "--jinja", "--host", host, "--port", str(port)]
    command += [] if context is None else ["--ctx-size", str(context)]
    program = shutil.which("llama-server") is not None
    return Server(command, program or missing_extra("gguf") is None, not program, f"http://{host}:{port}/v1", name)


def refuse_taken(host: str, port: int) -> None:
    """UsageError where this machine cannot listen at `host`:`port`, because another program does, or the address is not its own."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{host}:{port} cannot be used ({reason}); give another --port, or a --host of this machine") from error


def runnable(server: Server) -> list[str]:
    """The command with a program that can be started: vLLM's own, or its module in this Python."""
    if server.command[0] == "vllm" and shutil.which("vllm") is None:
        return [sys.executable, "-m", "vllm.entrypoints.cli.main", *server.command[1:]]
    return server.command
