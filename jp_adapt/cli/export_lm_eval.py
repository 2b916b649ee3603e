"""`jp-adapt eval export-lm-eval`: benchmarks as tasks that lm-evaluation-harness runs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from jp_adapt.cli.arguments import names_or_paths


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "eval export-lm-eval",
        description="Write a YAML task and a JSONL of ready prompts for each benchmark, for `lm_eval --include_path OUT`. What cannot be expressed is named.",
    )
    parser.add_argument("out", type=Path, help="folder to write; must not exist")
    parser.add_argument(
        "--benchmarks",
        type=names_or_paths,
        default=(),
        metavar="A,B",
        help="benchmarks by name or path (default: all that have the profile and whose data is there)",
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder that holds the upstream repositories of the benchmarks")
    parser.add_argument("--profile", default="jp-adapt", metavar="P", help="whose prompts and scorers (default: jp-adapt)")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    from jp_adapt.evaluation.lm_eval_export import export_lm_eval

    export = export_lm_eval(args.out, profile=args.profile, benchmarks=args.benchmarks, data=args.data)
    for name, reason in export.left_out:
        print(f"not exported: {name}: {reason}")
    for name, reason in export.limits:
        print(f"exported with limits: {name}: {reason}")
    for text in export.not_carried:
        print(f"no task carries {text}")
    print(f"{len(export.tasks)} tasks in {args.out}; run them with: lm_eval --include_path {args.out} --tasks jp_adapt_{args.profile} ...")
    return 0
