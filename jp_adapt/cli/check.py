"""`jp-adapt check`: is a recipe right? Nothing runs."""

from __future__ import annotations

import argparse
import json
from typing import Any


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser("check", help="check a recipe without running it", description="Check a recipe and the files it names; all problems are listed.")
    parser.add_argument("recipe", help="name of a shipped recipe, or path of a recipe file")
    parser.add_argument("-s", "--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting")
    parser.add_argument("--json", action="store_true", help="print the resolved recipe as JSON")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    from jp_adapt.pipeline.inputs import check_inputs
    from jp_adapt.recipe.load import load_recipe

    loaded = load_recipe(args.recipe, args.set)
    check_inputs(loaded)
    if args.json:
        print(json.dumps(loaded.recipe.model_dump(mode="json"), ensure_ascii=False))
    else:
        stages = " -> ".join(f"{stage.id} ({stage.kind})" for stage in loaded.recipe.stages)
        print(f"{loaded.path}: right\n{stages}")
    return 0
