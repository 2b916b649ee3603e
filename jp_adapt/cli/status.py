"""`jp-adapt status`: how far a run is."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jp_adapt.cli.output import print_json

if TYPE_CHECKING:
    from jp_adapt.pipeline.status import StageStatus

FOLLOW_EVERY_S = 2.0


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "status",
        help="how far a run is",
        description="Say which stages of a run are done, and of the one that runs: steps, loss, speed, time left.",
    )
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--json", action="store_true", help="print the stages as JSON")
    parser.add_argument("--follow", action="store_true", help="say it again whenever something changes, until the run ends")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace) -> int:
    from jp_adapt.pipeline.status import run_state, run_status

    shown: list[StageStatus] = []
    lines = 0
    while True:
        stages = run_status(args.run)
        if args.json and stages != shown:
            print_json([asdict(stage) | {"stopped_by": _stopped_by(args.run, stage)} for stage in stages])
        elif stages != shown:
            lines = _show(stages, shown, lines)
        sys.stdout.flush()
        shown = stages
        if not args.follow or run_state(stages) != "running":
            for stage in stages if not args.json else ():
                if stage.state == "stopped":
                    cause = _stopped_by(args.run, stage)
                    print(f"{stage.id} {f'failed: {cause}' if cause else 'was interrupted'}; the same `jp-adapt run` goes on from there")
            return 0
        time.sleep(FOLLOW_EVERY_S)


def _show(stages: list[StageStatus], before: list[StageStatus], lines: int) -> int:
    """The table, on a terminal in place of the one before, which had so many lines; elsewhere a log goes on with the stages that changed. How many lines it
    has comes back."""
    from jp_adapt.report.terminal import table

    terminal = sys.stdout.isatty()
    shown = [stage for stage in stages if terminal or stage not in before]
    rows = [(stage.id, stage.kind, stage.state, _progress(stage)) for stage in shown]
    drawn = table(("stage", "kind", "state", "progress") if terminal or not before else ("",) * 4, rows, words=4)
    print((f"\x1b[{lines}A\x1b[J" if terminal and lines else "") + "\n".join(drawn))
    return len(drawn)


def _stopped_by(run: Path, stage: StageStatus) -> str | None:
    """What ended the last attempt at a stage, as the run's log says it: "InputError: ..."; None of one that was interrupted or killed, or is not stopped."""
    log = run / "log.txt"
    if stage.state != "stopped" or not log.is_file():
        return None
    lines = [line.split(" ", 1)[-1] for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    last = next((line.removeprefix(f"{stage.id}: ") for line in reversed(lines) if line.startswith(f"{stage.id}: ")), "")
    cause = last.removeprefix("stopped by ") if last.startswith("stopped by ") else None
    return None if cause is None or cause.startswith("KeyboardInterrupt") else cause


def _progress(stage: StageStatus) -> str:
    from jp_adapt.pipeline.status import progress_text
    from jp_adapt.report.written import duration_text

    return duration_text(stage.elapsed_s) if stage.elapsed_s is not None else progress_text(stage)
