"""`jp-adapt launch`: what starts a recipe on a cluster."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from jp_adapt.cli.arguments import processes
from jp_adapt.cli.output import print_text


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "launch",
        help="write the script that runs a recipe on a Slurm cluster",
        description="Print a Slurm script for a recipe: jp-adapt launch RECIPE --slurm --nodes 2 --gpus 8 > job.sh; sbatch job.sh",
    )
    parser.add_argument("recipe", help="name of a shipped recipe, or path of a recipe file")
    parser.add_argument("--slurm", action="store_true", required=True, help="a script for sbatch (the one kind there is)")
    parser.add_argument("--out", type=Path, help="run folder, on a disk that all nodes see (default: runs/NAME)")
    parser.add_argument("--nodes", type=processes, default=1, help="(default: 1)")
    parser.add_argument("--gpus", type=processes, default=8, help="of each node (default: 8)")
    parser.add_argument("--cpus", type=processes, default=32, help="cores of each node (default: 32)")
    parser.add_argument("--time", default="24:00:00", help="(default: 24:00:00)")
    parser.add_argument("--partition", help="Slurm partition")
    parser.add_argument("--account", help="Slurm account")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    from jp_adapt.commands.slurm import sbatch_script
    from jp_adapt.recipe.load import load_recipe

    recipe = load_recipe(args.recipe).recipe
    where = args.recipe if not Path(args.recipe).exists() else str(Path(args.recipe).resolve())
    out = str(args.out or Path("runs") / recipe.name)
    options = {"partition": args.partition, "account": args.account}
    print_text(sbatch_script(where, recipe.name, out, nodes=args.nodes, gpus=args.gpus, cpus=args.cpus, time=args.time, options=options))
    return 0
