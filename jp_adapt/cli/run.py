"""`jp-adapt run`: do a recipe, or go on with it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "run", help="run a recipe into a run folder, or go on with it", description="Run a recipe, stage after stage; finished stages are skipped."
    )
    parser.add_argument("recipe", help="name of a shipped recipe, or path of a recipe file")
    parser.add_argument("--out", type=Path, help="run folder (default: runs/NAME)")
    parser.add_argument("-s", "--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting, e.g. stages.cpt.optimizer.lr=2e-4")
    parser.add_argument("--from", dest="redo_from", metavar="ID", help="redo from this stage; what lies there is kept under another name")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    from jp_adapt.pipeline.report import headline_table
    from jp_adapt.pipeline.run import run_recipe
    from jp_adapt.recipe.load import load_recipe

    loaded = load_recipe(args.recipe, args.set)
    result = run_recipe(loaded, args.out or Path("runs") / loaded.recipe.name, redo_from=args.redo_from)
    if args.json:
        print(json.dumps(result.summary, ensure_ascii=False))
        return 0
    if not result.stages_done:
        print(f"All {len(loaded.recipe.stages)} stages of {loaded.recipe.name} are done already; nothing to do.")
    print(headline_table(result.summary))
    print(f"Report: {result.folder / 'report' / 'index.html'}")
    return 0
