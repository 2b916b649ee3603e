"""`jp-adapt list`: what is shipped."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import Any

from jp_adapt.cli.output import print_json


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "list", help="what is shipped", description="List the recipes, benchmarks, suites, corpus recipes and sources that come with jp-adapt."
    )
    parser.add_argument("--json", action="store_true", help="print names and titles as JSON")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    from jp_adapt.core import shipped

    results = {"recipes": shipped.shipped_recipes(), "benchmarks": shipped.shipped_benchmarks(), "suites": shipped.shipped_suites()}
    results |= {"corpora": shipped.shipped_corpora(), "sources": shipped.shipped_sources()}
    if args.json:
        print_json({kind: {name: _title(path) for name, path in items.items()} for kind, items in results.items()})
        return 0
    from jp_adapt.report.terminal import table

    rows = [(kind, name, _title(path)) for kind, items in results.items() for name, path in items.items()]
    for kind in results:
        print("\n".join([f"{kind}:", *table(("", ""), [row[1:] for row in rows if row[0] == kind], words=2, indent=2)]))
    return 0


def _title(path: Path) -> str:
    """The top-level `title` of a declaration, read as text: no YAML parser for a list."""
    text = path.read_text(encoding="utf-8")
    match = re.search(r"^title:\s*(.+)$", text, flags=re.MULTILINE)
    untested = " (not run at this size yet)" if re.search(r"^untested: true$", text, flags=re.MULTILINE) else ""
    return (match.group(1).strip().strip("\"'") if match else "") + untested
