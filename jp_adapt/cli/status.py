"""`jp-adapt status`: how far a run is."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jp_adapt.cli.output import print_json


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser("status", help="how far a run is", description="Say which stages of a run are done.")
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--json", action="store_true", help="print the stages as JSON")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    from jp_adapt.pipeline.status import run_status

    stages = run_status(args.run)
    if args.json:
        print_json([asdict(stage) for stage in stages])
        return 0
    from jp_adapt.report.terminal import table

    rows = []
    for stage in stages:
        took = f"{stage.elapsed_s:.0f} s" if stage.elapsed_s is not None else ""
        rows.append((stage.id, stage.kind, stage.state, took or (f"step {stage.step}" if stage.state == "begun" and stage.step else "")))
    print("\n".join(table(("stage", "kind", "state", "time"), rows, words=4)))
    return 0
