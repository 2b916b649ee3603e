"""`jp-adapt eval page`: one evaluation as a page."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_parser(verbs: Any) -> None:
    about = "Write one evaluation as a page: charts, published scores of the same protocol, and every item."
    parser = verbs.add_parser("eval page", description=about)
    parser.add_argument("run", type=Path, help="folder that `jp-adapt eval` wrote")
    parser.add_argument("--html", type=Path, metavar="FILE", help="where to write it (default: RUN/index.html)")
    parser.add_argument("--baseline", type=Path, metavar="RUN", help="another result folder to compare with: the base")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    from jp_adapt.commands.compare import write_evaluation_page

    print(f"Page: {write_evaluation_page(args.run, args.html, args.baseline)}")
    return 0
