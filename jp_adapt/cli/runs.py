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
        help="all runs, evaluations, corpora, tokenizers, merges and leaderboards of a folder",
        description="List every run, evaluation, judgement, corpus, tokenizer, merge and leaderboard of a folder and of the folders in it: "
        "state, figures, size on the disk, date. The newest stands first.",
        epilog="jp-adapt runs tag RUN TAG gives tags.",
    )
    parser.add_argument("folder", type=Path, nargs="?", default=Path("runs"), help="default: runs")
    parser.add_argument("--tag", action="append", default=[], metavar="TAG", help="only what has this tag; with several, all of them")
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    from jp_adapt.report.terminal import table
    from jp_adapt.report.written import size_text
    from jp_adapt.ui.catalogue import runs
    from jp_adapt.ui.listing import entries
    from jp_adapt.ui.tags import check_tag

    for tag in args.tag:
        check_tag(tag)
    found = [entry for entry in entries(runs(args.folder)) if {*args.tag} <= {*entry.tags}]
    if args.json:
        print_json([asdict(entry) for entry in found])
    elif not found and args.tag:
        print(f"{args.folder}: nothing has the tag {' and '.join(args.tag)}")
    elif not found:
        print(f"{args.folder}: nothing of jp-adapt lies here; jp-adapt run RECIPE begins a run")
    else:
        rows = [
            (entry.kind, entry.path, entry.state, entry.headline, " ".join(entry.tags), size_text(entry.bytes), entry.date[:16].replace("T", " "))
            for entry in found
        ]
        head = ("kind", "path", "state", "figures", "tags", "size", "date")
        shown = [number for number, name in enumerate(head) if name != "tags" or any(entry.tags for entry in found)]
        print("\n".join(table([head[number] for number in shown], [[row[number] for number in shown] for row in rows], words=len(shown) - 2)))
    return 0
