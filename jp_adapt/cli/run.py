"""`jp-adapt run`: do a recipe, or continue with it."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from jp_adapt.cli.arguments import processes
from jp_adapt.cli.output import print_json


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "run", help="run a recipe into a run folder, or continue with it", description="Run a recipe, stage after stage; finished stages are skipped."
    )
    parser.add_argument("recipe", help="name of a shipped recipe, or path of a recipe file")
    parser.add_argument("--out", type=Path, help="run folder (default: runs/NAME)")
    parser.add_argument("-s", "--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting, e.g. stages.cpt.optimizer.lr=2e-4")
    parser.add_argument("--from", dest="redo_from", metavar="ID", help="redo from this stage; what lies there is kept under another name")
    parser.add_argument(
        "--processes", type=processes, metavar="N", help="train with N processes of this machine (one per GPU); the result does not depend on N"
    )
    parser.add_argument("--log", action="append", default=[], metavar="TRACKER", help="log to tensorboard, wandb or trackio too (may be repeated)")
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    if args.processes is not None:
        return _several(args)
    from jp_adapt.core.launch import end_with_launcher, is_first_process
    from jp_adapt.pipeline.run import assist_recipe, run_recipe
    from jp_adapt.recipe.load import load_recipe
    from jp_adapt.report.tables import headline_table

    end_with_launcher()
    loaded = load_recipe(args.recipe, args.set)
    out = args.out or Path("runs") / loaded.recipe.name
    if not is_first_process():
        assist_recipe(loaded, out)
        return 0
    result = run_recipe(loaded, out, redo_from=args.redo_from, trackers=tuple(args.log))
    if args.json:
        print_json(result.summary.as_dict())
        return 0
    if not result.stages_done:
        stages = len(loaded.recipe.stages)
        done = f"All {stages} stages of {loaded.recipe.name} are" if stages > 1 else f"The one stage of {loaded.recipe.name} is"
        print(f"{done} done already; nothing to do.")
    if table := headline_table(result.summary, shlex.quote(str(out))):
        print(table)
    print(f"Report: {result.folder / 'report' / 'index.html'}")
    return 0


def _several(args: argparse.Namespace) -> int:
    from jp_adapt.core.launch import run_processes
    from jp_adapt.recipe.load import load_recipe

    load_recipe(args.recipe, args.set)  # a wrong recipe is told once, before anything starts
    options = [*(("--log", name) for name in args.log), *(("-s", setting) for setting in args.set)]
    options += [("--out", str(args.out))] if args.out else []
    options += [("--from", args.redo_from)] if args.redo_from else []
    arguments = ["run", args.recipe, *(part for option in options for part in option), *(["--json"] if args.json else [])]
    return run_processes(args.processes, arguments)
