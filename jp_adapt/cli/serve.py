"""`jp-adapt serve`: a model behind an OpenAI-compatible address."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
from pathlib import Path
from typing import Any

from jp_adapt.cli.arguments import filled, port, positive


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "serve",
        help="serve a model: vLLM for a folder, llama.cpp for a GGUF file",
        description="Start vLLM (a model folder) or llama.cpp's server (a GGUF file) with the right flags where it is installed; print the command elsewhere.",
    )
    parser.add_argument("model", type=Path, help="model folder or GGUF file")
    parser.add_argument("--host", type=filled, default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine alone)")
    parser.add_argument("--port", type=port, default=8000, help="default: 8000")
    parser.add_argument("--context", type=positive, metavar="N", help="tokens of a conversation (default: the model's length)")
    parser.add_argument("--name", type=filled, help="name that clients ask for (default: the model's, of a run RUN/STAGE)")
    parser.add_argument("--print", action="store_true", dest="print_only", help="print the command and start nothing")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    """The exit code where nothing was started; a server that was takes this process's place, or ends by Ctrl-C."""
    from jp_adapt.commands.serve import plan_server, refuse_taken, runnable
    from jp_adapt.core.progress import say

    server = plan_server(args.model, host=args.host, port=args.port, context=args.context, name=args.name)
    if args.print_only or not server.installed:
        if not server.installed:
            say(f"{server.command[0]} is not installed here; the command is:")
        print(shlex.join(server.command))
        return 0
    refuse_taken(args.host, args.port)
    say(f"{server.address} (OpenAI's interface); Ctrl-C ends it")
    if server.built_in:
        from jp_adapt.export.llama_server import llama_server

        with llama_server(args.model, context=args.context or 0, host=args.host, port=args.port, name=server.name):
            signal.pause()
    else:
        command = runnable(server)
        os.execvp(command[0], command)
    return 0
