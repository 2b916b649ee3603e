"""`jp-adapt advise`: does an extension pay, and how many tokens?"""

from __future__ import annotations

import argparse
from typing import Any

from jp_adapt.cli.arguments import positive, sizes
from jp_adapt.cli.output import print_json

EPILOG = """Each number of tokens is learned from the corpus and measured on text that none was learned from. How often a token will stand in the training is
its count in the corpus, times the length of the training over that of the corpus."""


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "advise",
        help="does an extension pay, and how many tokens?",
        description="Measure extensions of several sizes and recommend one, or none. Nothing is written.",
        epilog=EPILOG,
    )
    parser.add_argument("--base", required=True, help="the tokenizer that may be extended")
    parser.add_argument("--corpus", nargs="+", required=True, metavar="FILE", help="Japanese text like that of the training")
    parser.add_argument("--budget-tokens", type=positive, required=True, metavar="N", help="tokens that the training will read, over all epochs")
    parser.add_argument("--heldout", nargs="+", default=[], metavar="FILE", help="text to measure (default: every 20th document, not learned from)")
    parser.add_argument("--sizes", type=sizes, metavar="N,N,N", help="numbers of new tokens (default: 500 to 16,000, as far as the corpus gives them)")
    parser.add_argument("--field", default="text", help="field of the text in .jsonl and .parquet (default: text)")
    parser.add_argument("--json", action="store_true", help="print the measures and the recommendation as JSON")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    from jp_adapt.commands.advise import SIZES, advice, recommended
    from jp_adapt.commands.tokenizer import ExtendOptions, sweep
    from jp_adapt.report.terminal import table

    options = ExtendOptions(field=args.field, heldout=tuple(args.heldout))
    report = sweep(args.base, args.corpus, args.sizes or SIZES, options, budget_tokens=args.budget_tokens, as_far_as_given=args.sizes is None)
    words = list(advice(report))
    if args.json:
        row = recommended(report)
        print_json(report.as_dict() | {"recommended": None if row is None else row.new_tokens, "advice": words})
        return 0
    rows = [("0", f"{report.base_chars_per_token:.3f}", f"{1000 / report.base_chars_per_token:,.0f}", "-", "-")]
    for row in report.rows:
        per_thousand = f"{1000 / row.chars_per_token:,.0f}"
        rows.append((f"{row.new_tokens:,}", f"{row.chars_per_token:.3f}", per_thousand, f"{row.rare_tokens:,}", f"{row.rare_in_budget:,}"))
    rare = f"fewer than {report.rare_below} times"
    print("\n".join(table(("new tokens", "chars/token", "tokens/1,000 chars", f"{rare} in the corpus", f"{rare} in the training"), rows)))
    print(f"held out: {report.heldout_documents:,} documents, {report.heldout_chars:,} characters; learned from {report.corpus_chars:,} characters\n")
    print("\n".join(words))
    return 0
