"""`jp-adapt chat`: talk to a model, or to two side by side."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jp_adapt.cli.arguments import amount, positive, share, temperature
from jp_adapt.core.errors import InputError


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "chat",
        help="talk to a model, or to two side by side",
        description="Talk to a model in its own chat template, line by line; the answer appears as it is written. /new begins a new conversation, /end ends.",
    )
    parser.add_argument("model", type=Path, help="model folder, or a GGUF file (in llama.cpp with jp-adapt[gguf])")
    parser.add_argument("--against", type=Path, metavar="MODEL", help="another model that answers the same, such as the base")
    parser.add_argument("--system", metavar="TEXT", help="system prompt (default: the one of the model's chat template)")
    parser.add_argument("--temperature", type=temperature, default=0.7, metavar="T", help="0 takes the most likely token each time (default: 0.7)")
    parser.add_argument("--top-p", type=share, default=0.95, metavar="P", help="draw from the most likely tokens that make up this share (default: 0.95)")
    parser.add_argument("--top-k", type=positive, default=0, metavar="K", help="draw from the K most likely tokens (default: all)")
    parser.add_argument("--repetition-penalty", type=amount, default=1.0, metavar="R", help="above 1 makes tokens of the text less likely (default: 1)")
    parser.add_argument("--max-tokens", type=positive, default=512, metavar="N", help="longest answer (default: 512)")
    parser.add_argument("--seed", type=int, metavar="N", help="draw the same each time")
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16", "float16"), default="auto", help="arithmetic of a model folder (default: auto)")
    parser.add_argument("--transcript", type=Path, metavar="FILE", help="new file: what was said, as JSON lines")
    parser.set_defaults(main=main)


def _lines() -> Iterator[str]:
    """What the user says: lines of stdin, with a prompt on a terminal. Empty ones are left out."""
    interactive = sys.stdin.isatty()
    if interactive:
        import readline  # noqa: F401 - arrows and history
    while True:
        try:
            line = input("> ") if interactive else input()
            line.encode("utf-8")  # some locales hand other bytes on as surrogates
        except EOFError:
            return
        except UnicodeError as error:
            raise InputError("stdin: a line is not UTF-8; convert the text (for example: iconv -f CP932 -t UTF-8)") from error
        if line.strip():
            yield line.strip()


def main(args: argparse.Namespace) -> int:
    from jp_adapt.commands.chat import chat
    from jp_adapt.inference.speaker import Sampling

    models = {args.model.resolve().name: args.model}
    if args.against is not None:
        name = args.against.resolve().name
        models[name if name not in models else str(args.against)] = args.against
    sampling = Sampling(args.temperature, args.top_p, args.top_k, args.repetition_penalty, args.max_tokens, args.seed)

    def show(piece: str) -> None:
        sys.stdout.write(piece)
        sys.stdout.flush()

    chat(models, _lines(), show, sampling=sampling, system=args.system, transcript=args.transcript, dtype=args.dtype)
    return 0
