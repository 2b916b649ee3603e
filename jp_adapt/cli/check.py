"""`jp-adapt check`: is a recipe right? Nothing runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from jp_adapt.cli.output import print_json

UNTESTED = "Nobody has run this recipe at its size yet."


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser("check", help="check a recipe without running it", description="Check a recipe and the files it names; all problems are listed.")
    parser.add_argument("recipe", help="name of a shipped recipe or corpus recipe, or path of one")
    parser.add_argument("-s", "--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting")
    parser.add_argument("--json", action="store_true", help="print the resolved recipe as JSON")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    from jp_adapt.recipe.load_corpus import is_corpus_recipe

    path, resolved, summary = (_corpus if is_corpus_recipe(args.recipe) else _recipe)(args)
    if args.json:
        print_json(resolved)
    else:
        print(f"{path}: OK, no problems\n{summary}")
    return 0


def _recipe(args: argparse.Namespace) -> tuple[Path, dict[str, Any], str]:
    from jp_adapt.core.progress import say
    from jp_adapt.pipeline.inputs import load_checked

    loaded, notes = load_checked(args.recipe, args.set)
    for note in notes:
        say(f"note: {note}")
    stages = " -> ".join(f"{stage.id} ({stage.kind})" for stage in loaded.recipe.stages)
    return loaded.path, loaded.recipe.model_dump(mode="json"), stages + (f"\n{UNTESTED}" if loaded.recipe.untested else "")


def _corpus(args: argparse.Namespace) -> tuple[Path, dict[str, Any], str]:
    from jp_adapt.commands.corpus import check_corpus
    from jp_adapt.recipe.load_corpus import load_corpus

    loaded = load_corpus(args.recipe, args.set)
    check_corpus(loaded)
    recipe = loaded.recipe
    steps = [str(step["kind"]) for step in recipe.steps] + (["deduplicate"] if recipe.deduplicate != "none" else [])
    return loaded.path, recipe.model_dump(mode="json"), " -> ".join([f"{', '.join(recipe.sources)} (sources)", *steps])
