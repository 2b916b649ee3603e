"""`jp-adapt data`: the files of benchmarks, from their pinned commits."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jp_adapt.cli.arguments import positive
from jp_adapt.cli.output import print_json


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser("data", help="bring the data of benchmarks", description="List or fetch the data of benchmarks that are not shipped.")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    fetch = actions.add_parser(
        "fetch",
        help="bring the files of benchmarks from their pinned commits",
        description="Bring the files of benchmarks from their pinned commits on GitHub, each checked by SHA-256. Stopped, the same command resumes.",
    )
    fetch.add_argument("--to", type=Path, required=True, metavar="DIR", help="data folder, as `eval --data` takes it")
    fetch.add_argument("--from", dest="mirror", metavar="MIRROR", help="folder or http address that holds the files in the layout of a data folder")
    fetch.add_argument("--accept", action="append", default=[], metavar="BENCHMARK", help="accept the special terms of a benchmark, which `data list` shows")
    fetch.add_argument("--timeout", type=positive, default=30, metavar="S", help="seconds without a byte before a request is tried again (default: 30)")
    fetch.set_defaults(main=_fetch)
    listing = actions.add_parser("list", help="which benchmarks have their data", description="Benchmarks, their licences, and whether their data is there.")
    listing.add_argument("--data", type=Path, metavar="DIR", help="data folder to look into")
    listing.add_argument("--json", action="store_true", help="print the list as JSON")
    listing.set_defaults(main=_list)
    for action in (fetch, listing):
        action.add_argument("benchmarks", nargs="*", metavar="BENCHMARK", help="names, as ja/jcommonsenseqa")
        action.add_argument("--suite", metavar="S", help="the benchmarks of a suite")


def _fetch(args: argparse.Namespace) -> int:
    from jp_adapt.commands.data import fetch_data, files_text, list_data

    fetched = fetch_data(args.benchmarks, args.to, suite=args.suite, mirror=args.mirror, accept=args.accept, timeout_s=args.timeout)
    if not fetched and all(row.data == "shipped" for row in list_data(None, args.benchmarks, args.suite)):
        print("nothing to fetch: this data comes with jp-adapt, and `eval` needs no --data for it")
    elif not fetched:
        print(f"{args.to}: all files are there already")
    else:
        print(f"{args.to}: {files_text(args.to, fetched)}; use them with --data {args.to}")
    return 0


def _list(args: argparse.Namespace) -> int:
    from jp_adapt.commands.data import list_data

    rows = list_data(args.data, args.benchmarks, args.suite)
    if args.json:
        print_json([asdict(row) for row in rows])
        return 0
    from jp_adapt.report.terminal import table

    lines = table(("benchmark", "data", "licence", "source"), [(row.name, row.data, row.licence, row.source) for row in rows], words=4)
    lines += [f"{row.name}: {row.licence_note}" for row in rows if row.licence_note]
    lines += [row.fetchable for row in rows if row.fetchable]
    print("\n".join(lines))
    return 0
