"""`jp-adapt ui`: a local page of everything that lies in a folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from jp_adapt.cli.arguments import port

EPILOG = """The page needs jp-adapt[ui], fetches nothing from elsewhere and answers this machine alone, under an address with a random token.
It reads nothing outside of FOLDER, and writes nothing. What is said to a model of --endpoint goes to that address; the page can name no other."""


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "ui",
        help="a local page: runs, live curves, comparisons, items, tokenizers, chat",
        description="Show the runs, evaluations, corpora, tokenizers, merges and leaderboards of a folder in a browser: live curves, comparisons, every item, "
        "a tokenizer playground, a chat with two models.",
        epilog=EPILOG,
    )
    parser.add_argument("folder", type=Path, nargs="?", default=Path("runs"), help="default: runs")
    parser.add_argument("--port", type=port, default=0, help="default: one that is free")
    parser.add_argument("--no-browser", action="store_true", help="print the address and open nothing")
    parser.add_argument(
        "--model", type=Path, action="append", default=[], metavar="PATH", help="a model folder, tokenizer or GGUF file elsewhere that the playgrounds may use"
    )
    parser.add_argument(
        "--endpoint", type=_pair, action="append", default=[], metavar="NAME=URL", help="a model behind an OpenAI-compatible endpoint that the chat may ask"
    )
    parser.add_argument(
        "--api-key-env", type=_pair, action="append", default=[], metavar="NAME=VARIABLE", help="environment variable that holds the API key of that endpoint"
    )
    parser.set_defaults(main=main)


def _pair(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not (name and sign and value):
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=VALUE")
    return name, value


def main(args: argparse.Namespace) -> int:
    from jp_adapt.core.errors import UsageError
    from jp_adapt.core.names import told_apart
    from jp_adapt.inference.speaker import EndpointSpeaker
    from jp_adapt.ui.server import serve_ui

    keys = dict(args.api_key_env)
    if unknown := [name for name in keys if name not in dict(args.endpoint)]:
        raise UsageError(f"--api-key-env {unknown[0]}=...: no --endpoint has the name {unknown[0]}; give --endpoint {unknown[0]}=URL, too")
    speakers = [EndpointSpeaker(name, address, keys.get(name)) for name, address in args.endpoint]
    endpoints = dict(zip((f"{speaker.name} ({speaker.address})" for speaker in speakers), speakers, strict=True))

    names = told_apart([path.resolve().name for path in args.model], [str(path.resolve()) for path in args.model])
    serve_ui(args.folder, port=args.port, models=dict(zip(names, args.model, strict=True)), endpoints=endpoints, browser=not args.no_browser)
    return 0
