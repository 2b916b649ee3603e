"""`jp-adapt eval published`: an evaluation beside published scores of the same protocol."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jp_adapt.cli.output import print_json


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "eval published",
        description="Show an evaluation beside published scores of the same protocol, shots and metric; others are named and not compared.",
    )
    parser.add_argument("run", type=Path, help="folder that `jp-adapt eval` wrote")
    parser.add_argument("--json", action="store_true", help="print the comparison as JSON")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    from jp_adapt.benchmarks.published import load_published
    from jp_adapt.evaluation.published import compare_published
    from jp_adapt.evaluation.results import read_scores
    from jp_adapt.report.terminal import table

    report = compare_published(read_scores(args.run), load_published())
    if args.json:
        print_json(asdict(report))
        return 0
    for entry in report.benchmarks:
        print(f"{entry.name}: {report.model} {_figure(entry.value)}")
        rows = [(row.model, f"{report.model} {row.verdict}", f"({row.assumed})" if row.assumed else "", f"{row.value:.4f}") for row in entry.published]
        if rows:
            print("\n".join(table(("published model", "", "", "value"), rows, words=3, indent=2)))
        for reason in entry.reasons:
            print(f"  not compared: {reason}")
        if not entry.published:
            others = f"; published with another protocol: {', '.join(entry.not_compared)}" if entry.not_compared else ""
            print(f"  nothing published with this protocol{others}")
    return 0


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
