"""`jp-adapt merge`: several models become one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser("merge", help="merge several models into one", description="Merge several models into one.")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    models = actions.add_parser("models", help="merge the models that a merge recipe names", description="Merge the models that a merge recipe names.")
    models.add_argument("recipe", type=Path, help="merge recipe (docs/merging.md)")
    models.add_argument("--out", type=Path, required=True, help="new folder")
    models.add_argument("-s", "--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting, e.g. models.ja.weight=0.7")
    models.set_defaults(main=_models)
    mergekit = actions.add_parser(
        "from-mergekit", help="print mergekit's YAML as a merge recipe", description="Print a configuration of mergekit as a merge recipe, with what differs."
    )
    mergekit.add_argument("config", type=Path, help="YAML of mergekit")
    mergekit.set_defaults(main=_from_mergekit)


def _models(args: argparse.Namespace) -> int:
    from jp_adapt.commands.merge import merge_models
    from jp_adapt.core.files import refuse_existing
    from jp_adapt.core.progress import say
    from jp_adapt.recipe.load_merge import load_merge

    refuse_existing(args.out)
    result = merge_models(load_merge(args.recipe, args.set), args.out)
    record = result.record
    filled = sum(record.get("rows_filled", {}).values())
    say(
        f"{record['parameters']:,} parameters, computed in float32, written in {record['dtype']}"
        + (f"; rows filled: {filled:,} (rows.jsonl)" if filled else "")
    )
    print(result.folder)
    return 0


def _from_mergekit(args: argparse.Namespace) -> int:
    from jp_adapt.recipe.mergekit import recipe_from_mergekit

    print(recipe_from_mergekit(args.config), end="")
    return 0
