"""`jp-adapt advise`: does an extension pay, and how many tokens?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from jp_adapt.cli.arguments import amount, length, positive, sizes
from jp_adapt.cli.output import print_json

EPILOG = """Each number of tokens is learned from the corpus and measured on text that none was learned from. How often a token will stand in the training is
its count in the corpus, times the length of the training over that of the corpus. Bits per character are expected by a model fitted to small trainings, with
its interval; the rule and its evidence: docs/does-it-pay.md."""


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "advise",
        help="does an extension pay, and how many tokens?",
        description="Measure extensions of several sizes and recommend one, or none. Nothing is written but --html.",
        epilog=EPILOG,
    )
    parser.add_argument("--base", required=True, help="the tokenizer that may be extended")
    parser.add_argument("--corpus", nargs="+", required=True, metavar="FILE", help="Japanese text like that of the training")
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument("--budget-tokens", type=length, metavar="N", help="tokens that the training will read, over all epochs")
    budget.add_argument("--budget-hours", type=amount, metavar="H", help="hours that the training will last on the devices")
    parser.add_argument("--model", metavar="M", help="folder with a config.json, or known hub id, for hours and costs (default: the base's folder)")
    parser.add_argument("--device", help="as of plan: h100-80g, cpu-2core, ... (default: the machine at hand)")
    parser.add_argument("--devices", type=positive, default=1, metavar="N", help="how many of them (default: 1)")
    parser.add_argument("--price", type=amount, metavar="P", help="of one device for one hour, to get costs")
    parser.add_argument("--currency", default="USD", metavar="C", help="of the price (default: USD)")
    parser.add_argument("--serve-chars-per-day", type=length, metavar="M", help="Japanese characters that the model will serve a day")
    parser.add_argument("--base-bits", type=amount, metavar="B", help="bits per character of the base on such text (default: expected bits are shares of it)")
    parser.add_argument("--heldout", nargs="+", default=[], metavar="FILE", help="text to measure (default: every 20th document, not learned from)")
    parser.add_argument("--sizes", type=sizes, metavar="N,N,N", help="numbers of new tokens (default: 500 to 16,000, as far as the corpus gives them)")
    parser.add_argument("--field", default="text", help="field of the text in .jsonl and .parquet (default: text)")
    parser.add_argument("--html", type=Path, metavar="FILE", help="new file for a page with plots")
    parser.add_argument("--json", action="store_true", help="print the measures and the recommendation as JSON")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    from jp_adapt.commands.advise import AdviceOptions, advise
    from jp_adapt.core.files import refuse_existing, write_text
    from jp_adapt.report.advice_page import advice_columns, advice_page, cells
    from jp_adapt.report.terminal import table

    if args.html:
        refuse_existing(args.html, "--html")
    options = AdviceOptions(
        budget_tokens=args.budget_tokens,
        budget_hours=args.budget_hours,
        model=args.model,
        device=args.device,
        devices=args.devices,
        price=args.price,
        currency=args.currency,
        serve_chars_per_day=args.serve_chars_per_day,
        base_bits=args.base_bits or None,
        sizes=args.sizes,
        field=args.field,
        heldout=tuple(args.heldout),
    )
    report = advise(args.base, args.corpus, options)
    if args.html:
        write_text(args.html, advice_page(report))
    if args.json:
        print_json(report.as_dict())
        return 0
    print("\n".join(table([name for name, _ in advice_columns(report)], [cells(report, row) for row in report.rows])))
    print(f"held out: {report.heldout_documents:,} documents, {report.heldout_chars:,} characters; learned from {report.corpus_chars:,} characters")
    if report.device is not None:
        print(f"hours: of {report.device}, as plan assumes it{'; serving in full batches' if report.serve_chars_per_day else ''}\n")
    print("\n".join(report.advice))
    if args.html:
        print(f"Page: {args.html}")
    return 0
