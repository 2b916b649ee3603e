"""`jp-adapt runs`: everything that lies in a folder."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jp_adapt.cli.output import print_json


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "runs",
        help="all runs, evaluations, corpora, tokenizers and merges of a folder",
        description="List every run, evaluation, judgement, corpus, tokenizer and merge of a folder and of the folders in it: "
        "state, figures, size on the disk, date. The newest stands first.",
    )
    parser.add_argument("folder", type=Path, nargs="?", default=Path("runs"), help="default: runs")
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    from jp_adapt.report.terminal import table
    from jp_adapt.report.written import size_text
    from jp_adapt.ui.catalogue import runs
    from jp_adapt.ui.listing import entries

    found = entries(runs(args.folder))
    if args.json:
        print_json([asdict(entry) for entry in found])
    elif not found:
        print(f"{args.folder}: nothing of jp-adapt lies here; jp-adapt run RECIPE begins a run")
    else:
        rows = [(entry.kind, entry.path, entry.state, entry.headline, size_text(entry.bytes), entry.date[:16].replace("T", " ")) for entry in found]
        print("\n".join(table(("kind", "path", "state", "figures", "size", "date"), rows, words=4)))
    return 0
