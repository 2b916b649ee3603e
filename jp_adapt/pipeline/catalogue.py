"""All runs and evaluations below a folder, for a notebook or a list of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jp_adapt.core.documents import Tabular
from jp_adapt.core.errors import InputError
from jp_adapt.evaluation.results import SCORES, Scores, read_scores
from jp_adapt.pipeline.run_folder import RUN, RunRecord, run_record
from jp_adapt.pipeline.status import StageStatus, run_status
from jp_adapt.report.run_summary import SUMMARY, RunSummary

PASSED_OVER = re.compile(r"\..*|parts|checkpoints|work|.*\.old-\d+|.*\.partial")  # what is unfinished, set aside, or a part of something


@dataclass(frozen=True)
class FoundRun:
    """A run folder: its record, how far each stage is, and its summary, None before a report is written."""

    path: Path
    record: RunRecord
    stages: list[StageStatus]
    summary: RunSummary | None

    @property
    def done(self) -> bool:
        """Whether every stage is finished."""
        return all(stage.state == "done" for stage in self.stages)


@dataclass(frozen=True)
class FoundEvaluation:
    """A result folder with its scores."""

    path: Path
    scores: Scores


@dataclass(frozen=True)
class Catalogue(Tabular):
    """Runs and evaluations below a folder, by path. `unreadable`: what looks like one and cannot be read, with the error."""

    folder: Path
    runs: list[FoundRun]
    evaluations: list[FoundEvaluation]
    unreadable: list[tuple[Path, str]]

    def rows(self) -> list[dict[str, Any]]:
        """One row for each metric of each benchmark of each evaluation; `path` is relative to the folder."""
        return [{"path": results.path.relative_to(self.folder).as_posix()} | row for results in self.evaluations for row in results.scores.rows()]


def runs(folder: str | Path) -> Catalogue:
    """All runs, and all evaluations, those of the runs included, in `folder` and below it. Nothing is written.

    Raises:
        InputError: there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give one that holds runs or results")
    catalogue = Catalogue(folder, [], [], [])
    for path in _folders(folder):
        try:
            if (path / RUN).is_file() and (path / "resolved.yaml").is_file():
                catalogue.runs.append(_run(path))
            if (path / SCORES).is_file():
                catalogue.evaluations.append(FoundEvaluation(path, read_scores(path)))
        except InputError as error:
            catalogue.unreadable.append((path, str(error)))
    return catalogue


def _folders(folder: Path) -> Iterator[Path]:
    for path, names, _ in os.walk(folder):
        names[:] = sorted(name for name in names if not PASSED_OVER.fullmatch(name))
        yield Path(path)


def _run(path: Path) -> FoundRun:
    summary = path / "report" / SUMMARY
    return FoundRun(path, run_record(path), run_status(path), RunSummary.read(summary) if summary.is_file() else None)
