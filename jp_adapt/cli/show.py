"""`jp-adapt show`: the text of a shipped recipe, benchmark or suite."""

from __future__ import annotations

import argparse
from typing import Any


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser("show", help="print a shipped recipe, benchmark or suite", description="Print a shipped declaration as it is written.")
    parser.add_argument("name", help="name as `jp-adapt list` gives it")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    from jp_adapt.core.errors import UsageError
    from jp_adapt.core.shipped import shipped_benchmarks, shipped_recipes, shipped_suites
    from jp_adapt.core.suggest import did_you_mean

    declarations = shipped_suites() | shipped_recipes() | shipped_benchmarks()
    if args.name not in declarations:
        raise UsageError(f"nothing is shipped as '{args.name}'{did_you_mean(args.name, declarations)}; see: jp-adapt list")
    print(declarations[args.name].read_text(encoding="utf-8"), end="")
    return 0
