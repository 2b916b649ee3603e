"""`jp-adapt show`: the text of a shipped recipe, benchmark or suite."""

from __future__ import annotations

import argparse
from typing import Any

from jp_adapt.cli.output import print_text


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser("show", help="print a shipped recipe, benchmark or suite", description="Print a shipped declaration as it is written.")
    parser.add_argument("name", help="name as `jp-adapt list` gives it")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    from jp_adapt.core import shipped
    from jp_adapt.core.errors import UsageError
    from jp_adapt.core.suggest import did_you_mean

    declarations = shipped.shipped_suites() | shipped.shipped_recipes() | shipped.shipped_benchmarks() | shipped.shipped_corpora() | shipped.shipped_sources()
    if args.name not in declarations:
        raise UsageError(f"nothing is shipped as '{args.name}'{did_you_mean(args.name, declarations)}; see: jp-adapt list")
    print_text(declarations[args.name].read_text(encoding="utf-8"))
    return 0
