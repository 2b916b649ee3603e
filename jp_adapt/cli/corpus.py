"""`jp-adapt corpus`: raw text to clean, mixed, audited token shards, and what such a corpus holds."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from jp_adapt.cli.arguments import processes
from jp_adapt.cli.output import print_json


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser("corpus", help="prepare a corpus, and say what it holds", description="Prepare a corpus, and say what it holds.")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    prepare = actions.add_parser(
        "prepare", help="clean, deduplicate and tokenize texts into shards", description="Do a corpus recipe. A run that was stopped continues where it was."
    )
    prepare.add_argument("recipe", help="name of a shipped corpus recipe, or path of one")
    prepare.add_argument("--out", type=Path, required=True, help="new folder for the corpus; unfinished work lies in OUT.partial")
    prepare.add_argument("--processes", type=processes, default=1, metavar="N", help="worker processes (default: 1); the result is the same for any number")
    prepare.add_argument("-s", "--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting, e.g. tokenizer=runs/mine/stages/tok/final")
    prepare.set_defaults(main=_prepare)
    stats = actions.add_parser("stats", help="what a prepared corpus holds", description="Documents, characters, tokens, lengths and scripts of each source.")
    stats.add_argument("folder", type=Path, help="what `corpus prepare` wrote")
    stats.add_argument("--html", type=Path, metavar="FILE", help="write the page with plots to a new file")
    stats.set_defaults(main=_stats)
    for action in (prepare, stats):
        action.add_argument("--json", action="store_true", help="print the report as JSON")


def _prepare(args: argparse.Namespace) -> int:
    from jp_adapt.commands.corpus import prepare
    from jp_adapt.recipe.load_corpus import load_corpus
    from jp_adapt.report.tables import corpus_table

    report = prepare(load_corpus(args.recipe, args.set), args.out, args.processes)
    if args.json:
        print_json(report.as_dict())
    else:
        print(f"{corpus_table(report)}\nReport: {args.out / 'report.html'}")
    return 0


def _stats(args: argparse.Namespace) -> int:
    from jp_adapt.commands.corpus import stats
    from jp_adapt.core.files import refuse_existing, write_text
    from jp_adapt.report.corpus_page import corpus_page
    from jp_adapt.report.tables import corpus_table

    if args.html is not None:
        refuse_existing(args.html, "--html")
    report = stats(args.folder)
    if args.html is not None:
        write_text(args.html, corpus_page(report))
    if args.json:
        print_json(report.as_dict())
    else:
        print(corpus_table(report))
    return 0
