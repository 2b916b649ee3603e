"""`jp-adapt eval compare`: are two evaluations different, or is it chance?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from jp_adapt.cli.output import print_json

EPILOG = """The first run is what the others are compared with: base against adapted. Runs with another protocol, version or data of a benchmark are refused."""


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser("eval compare", description="Compare evaluations of the same benchmarks item by item.", epilog=EPILOG)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders that `jp-adapt eval` or `jp-adapt judge` wrote, the base first")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with charts and every item")
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    from jp_adapt.commands.compare import compare
    from jp_adapt.core.errors import UsageError
    from jp_adapt.report.tables import comparison_lines

    if len(args.runs) < 2:
        raise UsageError("give at least two runs, the base first")
    report = compare(args.runs, args.html)
    if args.json:
        print_json(report.as_dict())
        return 0
    print("\n".join(comparison_lines(report)))
    if args.html:
        print(f"Page: {args.html}")
    return 0
