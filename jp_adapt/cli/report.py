"""`jp-adapt report`: write a run's report again."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from jp_adapt.cli.output import print_json


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "report",
        help="write a run's report again",
        description="Build the report of a run from what its stages wrote; of one that is not finished it shows what there is.",
    )
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument(
        "--control", metavar="RUN", help="another run whose figures stand beside, or `none` (default: the one in the report, else the recipe's `control`)"
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    from jp_adapt.pipeline.report import rebuild_report
    from jp_adapt.report.tables import headline_table

    summary = rebuild_report(args.run, args.control)
    if args.json:
        print_json(summary.as_dict())
    else:
        print(f"{headline_table(summary, shlex.quote(str(args.run)))}\nReport: {args.run / 'report' / 'index.html'}")
    return 0
