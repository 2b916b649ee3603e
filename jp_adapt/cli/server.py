"""`jp-adapt eval server`: our own engine behind an OpenAI-compatible address."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from jp_adapt.cli.arguments import filled, port

EPILOG = """Any harness that speaks OpenAI's interface gets prefix sharing: what texts begin with is computed once.
Send many at a time, since only what waits together is shared:

    lm_eval --model local-completions --tasks ... --batch_size 64 --model_args \\
        base_url=http://127.0.0.1:8000/v1/completions,model=NAME,tokenizer=DIR,tokenized_requests=True"""


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "eval server",
        description="Serve a model folder by the engine that `jp-adapt eval` computes with: log-likelihoods of prompts, completions, chat.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", type=Path, help="model folder")
    parser.add_argument("--host", type=filled, default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine alone)")
    parser.add_argument("--port", type=port, default=8000, help="default: 8000")
    parser.add_argument("--name", type=filled, help="name that clients ask for (default: the model's, of a run RUN/STAGE)")
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16", "float16"), default="auto", help="arithmetic (default: auto)")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    from jp_adapt.commands.eval_server import serve_engine

    serve_engine(args.model, host=args.host, port=args.port, name=args.name, dtype=args.dtype)
    return 0
