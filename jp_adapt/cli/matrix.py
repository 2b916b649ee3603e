"""`jp-adapt eval matrix`: many models on many suites, and a leaderboard."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from jp_adapt.cli.arguments import names_or_paths, positive
from jp_adapt.cli.asking import add_asking, asking
from jp_adapt.cli.output import print_json

EPILOG = """The first model is what the others are compared with. Data is read once, and each model is loaded once.
The same command continues where it was stopped. Start it several times at once, one per GPU or as a Slurm
array on a shared disk, and the processes share the work:

    srun --ntasks=8 --gpus-per-task=1 jp-adapt eval matrix BASE MINE OTHER --suites ja-core,ja-chat --data DIR --out runs/matrix"""


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "eval matrix",
        description="Score models on suites into one folder, with a leaderboard; the same command continues.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="folders, or ORG/NAME[@REVISION] of the hub; the base first")
    parser.add_argument("--suites", type=names_or_paths, required=True, metavar="A,B", help="suites by name or path")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the results: DIR/MODEL/SUITE, leaderboard.json and index.html")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder that holds the upstream repositories of the benchmarks")
    parser.add_argument("--missing", choices=("refuse", "skip"), default="refuse", help="benchmarks whose data is not there (default: refuse)")
    add_asking(parser)
    parser.add_argument("--limit", type=positive, metavar="N", help="measure a sample of N items of each benchmark")
    parser.add_argument("--dtype", choices=("auto", "float32", "bfloat16", "float16"), default="auto", help="arithmetic (default: auto)")
    parser.add_argument("--backend", default="local", metavar="NAME", help="what computes: local, vllm, or an engine of a plugin (default: local)")
    parser.add_argument("--plugin", action="append", default=[], metavar="NAME", help="use an installed plugin: its metrics and engines")
    parser.add_argument("--allow-code-execution", action="store_true", help="run programs that the model writes, in a sandbox (Linux)")
    parser.add_argument("--json", action="store_true", help="print leaderboard.json")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    from jp_adapt.commands.evaluate import EvalOptions
    from jp_adapt.commands.matrix import PAGE, evaluate_matrix
    from jp_adapt.report.tables import leaderboard_lines

    options = EvalOptions(
        data=args.data,
        missing=args.missing,
        **asking(args),
        limit=args.limit,
        dtype=args.dtype,
        backend=args.backend,
        plugins=tuple(args.plugin),
        allow_code_execution=args.allow_code_execution,
    )
    board = evaluate_matrix(args.models, args.suites, args.out, options)
    if args.json:
        print_json(board.as_dict())
        return 0
    print("\n".join(leaderboard_lines(board)))
    print(f"Page: {args.out / PAGE}")
    return 0
