"""`jp-adapt env`: versions and machine, for a bug report."""

from __future__ import annotations

import argparse
from typing import Any

from jp_adapt.cli.output import print_json


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "env", help="versions and machine, for a bug report", description="Print versions and machine. No path, no name of yours, no secret."
    )
    parser.add_argument("--json", action="store_true", help="print versions and machine as JSON")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    import psutil

    from jp_adapt.core.environment import environment
    from jp_adapt.model.this_machine import first_gpu
    from jp_adapt.report.written import size_text

    results = environment() | {"memory": size_text(psutil.virtual_memory().total), "gpu": first_gpu() or "none"}
    if args.json:
        print_json(results)
    else:
        from jp_adapt.report.terminal import table

        print("\n".join(table(("", ""), [(name, str(value)) for name, value in results.items()], words=2)))
    return 0
