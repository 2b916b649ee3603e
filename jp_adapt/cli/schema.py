"""`jp-adapt schema`: what may stand in a recipe, as JSON Schema."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

EPILOG = """An editor with YAML support completes and checks a recipe whose first line is
# yaml-language-server: $schema=FILE, the path of the written schema. Rules between keys are checked by `jp-adapt check`."""

KINDS = ("recipe", "corpus", "merge", "benchmark", "suite", "judge")


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "schema", help="JSON Schema of recipes and declarations", description="Print the JSON Schema of what is written by hand.", epilog=EPILOG
    )
    parser.add_argument("kind", choices=KINDS, help="a recipe, a corpus recipe, a merge recipe, a benchmark, a suite, or a judge")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write it to a new file")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    from jp_adapt.commands.json_schema import json_schema
    from jp_adapt.core.files import refuse_existing, write_text

    if args.out is not None:
        refuse_existing(args.out)
    text = json.dumps(json_schema(args.kind), ensure_ascii=False, indent=2) + "\n"
    if args.out is None:
        print(text, end="")
    else:
        write_text(args.out, text)
        print(args.out)
    return 0
