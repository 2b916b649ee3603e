"""`jp-adapt merge`: several models become one."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jp_adapt.cli.output import print_json, print_text
from jp_adapt.core.errors import UsageError
from jp_adapt.core.suggest import did_you_mean


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
    explain = actions.add_parser(
        "explain",
        help="of which models was a model made, with which coefficients?",
        description="Estimate from weights alone which of several models made a model, with which coefficients, in each layer.",
    )
    explain.add_argument("model", type=Path, help="folder of the merged model")
    explain.add_argument("--parents", nargs="+", required=True, metavar="[NAME=]DIR", help="folders of models that may be parents, the base among them")
    explain.add_argument("--base", metavar="NAME", help="parent that was the base: the others' coefficients are the weights of task arithmetic")
    explain.add_argument("--json", action="store_true", help="print the estimate as JSON")
    explain.set_defaults(main=_explain)


def _models(args: argparse.Namespace) -> int:
    from jp_adapt.commands.merge import merge_models
    from jp_adapt.core.files import refuse_existing
    from jp_adapt.core.progress import say
    from jp_adapt.recipe.load_merge import load_merge

    refuse_existing(args.out)
    result = merge_models(load_merge(args.recipe, args.set), args.out)
    record = result.record
    filled = sum(record.rows_filled.values())
    say(
        f"{record.parameters:,} parameters, computed in {record.arithmetic}, written in {record.dtype}"
        + (f"; {filled:,} rows filled (rows.jsonl)" if filled else "")
    )
    print(result.folder)
    return 0


def _from_mergekit(args: argparse.Namespace) -> int:
    from jp_adapt.recipe.mergekit import recipe_from_mergekit

    print_text(recipe_from_mergekit(args.config))
    return 0


def _explain(args: argparse.Namespace) -> int:
    from jp_adapt.commands.merge_explain import explain_model, explanation_lines, named_folders

    parents = named_folders(args.parents)
    if args.base is not None and args.base not in parents:
        raise UsageError(f"--base {args.base}: not one of the parents{did_you_mean(args.base, parents)}: {', '.join(parents)}")
    explanation = explain_model(args.model, parents)
    if args.json:
        value = asdict(explanation)
        value["layers"] = [{"layer": layer} | estimate for layer, estimate in value["layers"].items()]
        print_json(value)
    else:
        print("\n".join(explanation_lines(explanation, args.base)))
    return 0
