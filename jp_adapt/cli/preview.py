"""`jp-adapt preview`: a conversation as the model reads it, with what it trains on marked."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jp_adapt.cli.arguments import positive
from jp_adapt.cli.output import print_json, without_control

if TYPE_CHECKING:
    from jp_adapt.pipeline.preview import Preview

TRAINED, CONTEXT, PLAIN = "\x1b[1;32m", "\x1b[2m", "\x1b[0m"


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "preview",
        help="a conversation of a recipe as the model reads it",
        description="Show conversations of an sft stage in its chat template, with the tokenizer of the base: what the loss lies on is green on a terminal, "
        "and stands in [[ ]] elsewhere. Nothing runs.",
    )
    parser.add_argument("recipe", help="name of a shipped recipe, or path of a recipe file")
    parser.add_argument("--stage", metavar="ID", help="sft stage (default: the first one)")
    parser.add_argument("--examples", type=positive, default=1, metavar="N", help="conversations of each source (default: 1)")
    parser.add_argument("--tokens", action="store_true", help="list every token: id, whether it is trained on, text")
    parser.add_argument("-s", "--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting")
    parser.add_argument("--json", action="store_true", help="print the conversations as JSON")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    from jp_adapt.pipeline.preview import preview_chats
    from jp_adapt.recipe.load import load_recipe
    from jp_adapt.report.terminal import table

    previews = preview_chats(load_recipe(args.recipe, args.set).recipe, args.stage, args.examples)
    if args.json:
        print_json([asdict(preview) for preview in previews])
        return 0
    in_color = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for number, preview in enumerate(previews):
        print("\n" * (number > 0) + _head(preview))
        if args.tokens:
            rows = [(repr(token.text), "trained" if token.trained else "-", str(token.id)) for token in preview.tokens]
            print("\n".join(table(("token", "", "id"), rows, words=2)))
        else:
            print("".join(_marked(text, trained, in_color) for text, trained in preview.runs))
    return 0


def _head(preview: Preview) -> str:
    trained = sum(token.trained for token in preview.tokens)
    place = Path(preview.place).name  # file:line
    return f"{preview.stage}, {preview.source} ({place}): {len(preview.tokens)} tokens, {trained} of them trained on"


def _marked(text: str, trained: bool, in_color: bool) -> str:
    text = without_control(text)
    if in_color:
        return f"{TRAINED if trained else CONTEXT}{text}{PLAIN}"
    return f"[[{text}]]" if trained else text
