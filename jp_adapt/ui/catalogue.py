"""Everything that jp-adapt wrote below a folder, found by its documents: runs, evaluations, judgements, corpora, tokenizers, merges, leaderboards."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from jp_adapt.commands.merge_record import RECORD as MERGE
from jp_adapt.commands.merge_record import MergeRecord
from jp_adapt.core.documents import Tabular
from jp_adapt.core.errors import InputError
from jp_adapt.core.files import read_json
from jp_adapt.core.lock import is_locked
from jp_adapt.corpus.figures import REPORT, CorpusFigures
from jp_adapt.evaluation.leaderboard import LEADERBOARD, Leaderboard
from jp_adapt.evaluation.results import SCORES, Scores, read_scores
from jp_adapt.pipeline.run_folder import RESOLVED, RUN, RunRecord, run_record
from jp_adapt.pipeline.status import StageStatus, State, run_state, run_status
from jp_adapt.report.run_summary import SUMMARY, RunSummary
from jp_adapt.report.tokenizer_report import ExtensionReport
from jp_adapt.tokenizer.load import SPEC
from jp_adapt.tokenizer.save import EXTENSION

PASSED_OVER = re.compile(r"\..*|parts|checkpoints|work|.*\.old-\d+|.*\.partial")  # what is unfinished, set aside, or a part of something
INDEX = "index.json"  # of a corpus
Kind = Literal["corpus", "tokenizer", "merge", "leaderboard"]


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
        return self.state == "done"

    @property
    def state(self) -> State:
        """Whether the run is done, running, stopped, or has not begun."""
        return run_state(self.stages)


@dataclass(frozen=True)
class FoundEvaluation:
    """A result folder with its scores. `running` says whether a process still works on it."""

    path: Path
    scores: Scores
    running: bool = False

    @property
    def is_judgement(self) -> bool:
        """Whether a judge gave the scores."""
        return "judge" in self.scores.environment


@dataclass(frozen=True)
class FoundArtifact:
    """A prepared corpus, an extended tokenizer, a merged model or the leaderboard of a matrix, with a few facts of its document."""

    path: Path
    kind: Kind
    facts: Mapping[str, Any]


Found = FoundRun | FoundEvaluation | FoundArtifact


@dataclass(frozen=True)
class Catalogue(Tabular):
    """What is below a folder, by path. `unreadable`: what looks like a document of this program and cannot be read, with the error."""

    folder: Path
    runs: list[FoundRun]
    evaluations: list[FoundEvaluation]
    unreadable: list[tuple[Path, str]]
    artifacts: list[FoundArtifact] = field(default_factory=list)

    def rows(self) -> list[dict[str, Any]]:
        """One row for each metric of each benchmark of each evaluation; `path` is relative to the folder."""
        return [{"path": results.path.relative_to(self.folder).as_posix()} | row for results in self.evaluations for row in results.scores.rows()]


def check_folder(folder: Path) -> None:
    """InputError where `folder` is none."""
    if not folder.is_dir():
        what = "is a file; give the folder" if folder.exists() else "no such folder; give one"
        raise InputError(f"{folder}: {what} that holds runs or results")


def runs(folder: str | Path) -> Catalogue:
    """All that jp-adapt wrote in `folder` and below it: runs, evaluations (those of the runs included), corpora, tokenizers, merges. Nothing is written.

    Raises:
        InputError: there is no such folder.
    """
    folder = Path(folder)
    check_folder(folder)
    catalogue = Catalogue(folder, [], [], [])
    for path, read in candidates(folder):
        try:
            found = read(path)
        except InputError as error:
            catalogue.unreadable.append((path, str(error)))
            continue
        if isinstance(found, FoundRun):
            catalogue.runs.append(found)
        elif isinstance(found, FoundEvaluation):
            catalogue.evaluations.append(found)
        else:
            catalogue.artifacts.append(found)
    return catalogue


def candidates(folder: Path) -> Iterator[tuple[Path, Callable[[Path], Found]]]:
    """Folders that look like something of this program by the names of their files, and the function that reads each."""
    for path, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not PASSED_OVER.fullmatch(name))
        present = {*files}
        for wanted, read in _READERS:
            if wanted <= present:
                yield Path(path), read


def _run(path: Path) -> FoundRun:
    summary = path / "report" / SUMMARY
    return FoundRun(path, run_record(path), run_status(path), RunSummary.read(summary) if summary.is_file() else None)


def _evaluation(path: Path) -> FoundEvaluation:
    return FoundEvaluation(path, read_scores(path), is_locked(path))


def _corpus(path: Path) -> FoundArtifact:
    figures = CorpusFigures.read(path / REPORT)
    totals = {key: sum(getattr(source, key) for source in figures.sources) for key in ("documents", "characters", "tokens")}
    return FoundArtifact(path, "corpus", totals | {"sources": [source.name for source in figures.sources]})


def _tokenizer(path: Path) -> FoundArtifact:
    if (path / REPORT).is_file():
        report = ExtensionReport.read(path / REPORT)
        return FoundArtifact(path, "tokenizer", {key: getattr(report.extension, key) for key in ("new_tokens", "added_bytes", "vocab_size")})
    value = read_json(path / EXTENSION)
    tokens = value.get("tokens") if isinstance(value, dict) else None
    if not isinstance(tokens, list):
        raise InputError(f"{path / EXTENSION}: not the record of an extended tokenizer (it lists no tokens); extend it again")
    added = sum(isinstance(token, dict) and len(str(token.get("bytes"))) == len("00") for token in tokens)  # as hex; what is learned has more bytes than one
    return FoundArtifact(path, "tokenizer", {"new_tokens": len(tokens) - added, "added_bytes": added})


def _merge(path: Path) -> FoundArtifact:
    record = MergeRecord.read(path / MERGE)
    return FoundArtifact(
        path, "merge", {"method": record.method, "models": [model.folder for model in record.models.values()], "parameters": record.parameters}
    )


def _leaderboard(path: Path) -> FoundArtifact:
    board = Leaderboard.read(path / LEADERBOARD)
    return FoundArtifact(path, "leaderboard", {"models": board.models, "benchmarks": len(board.table), "missing": len(board.missing)})


_READERS: tuple[tuple[set[str], Callable[[Path], Found]], ...] = (
    ({RUN, RESOLVED}, _run),
    ({SCORES}, _evaluation),
    ({INDEX, REPORT}, _corpus),
    ({EXTENSION, SPEC}, _tokenizer),
    ({MERGE}, _merge),
    ({LEADERBOARD}, _leaderboard),
)
