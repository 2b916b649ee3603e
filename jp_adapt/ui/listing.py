"""What was found in a folder as one table: a line for each thing, with its state, its headline in words, its size and its date."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from jp_adapt.core.errors import InputError
from jp_adapt.core.names import model_name
from jp_adapt.evaluation.results import SCORES
from jp_adapt.pipeline.status import State, progress_text
from jp_adapt.report.run_summary import Figures
from jp_adapt.report.written import number_text, plural
from jp_adapt.ui.catalogue import Catalogue, Found, FoundArtifact, FoundEvaluation, FoundRun
from jp_adapt.ui.tags import read_tags

Kind = Literal["run", "evaluation", "judgement", "corpus", "tokenizer", "merge", "leaderboard", "unreadable"]
MOST_SCORES = 3  # of an evaluation, in its headline
LONGEST_NAME, LONGEST_HEADLINE = 200, 500  # characters
HEADLINE = {"chars_per_token": "chars/token", "bits_per_char_ja": "bits/char ja", "bits_per_byte_en": "bits/byte en"}


@dataclass(frozen=True)
class Entry:
    """A line of the table.

    Attributes:
        path: below the folder; "." is the folder itself.
        name: of the run or the model.
        headline: the figures that it is judged by, in words.
        figures: the same as numbers, for sorting.
        bytes: on the disk, everything below its folder.
        date: ISO 8601, UTC.
        tags: see `ui/tags`.
    """

    kind: Kind
    path: str
    name: str
    state: State | Literal["unreadable"]
    headline: str
    figures: dict[str, float]
    bytes: int
    date: str
    tags: list[str] = field(default_factory=list)


def entries(catalogue: Catalogue) -> list[Entry]:
    """Everything of a catalogue, the newest first."""
    found: list[Found] = [*catalogue.runs, *catalogue.evaluations, *catalogue.artifacts]
    results = [entry_of(one, catalogue.folder) for one in found]
    results += [unreadable(path, error, catalogue.folder) for path, error in catalogue.unreadable]
    return sorted(results, key=lambda entry: (entry.date, entry.path), reverse=True)


def entry_of(found: Found, folder: Path) -> Entry:
    """The line of one thing. Tags that cannot be read are told behind its figures."""
    entry = _entry_of(found, folder)
    try:
        return replace(entry, tags=read_tags(found.path))
    except InputError as error:
        return replace(entry, headline="; ".join(filter(None, (entry.headline, _within(found.path, error)))))


def _entry_of(found: Found, folder: Path) -> Entry:
    path = found.path.relative_to(folder).as_posix()
    size = folder_bytes(found.path)
    if isinstance(found, FoundRun):
        headline, figures = _run_headline(found)
        return Entry("run", path, found.record.name[:LONGEST_NAME], found.state, headline, figures, size, _iso(found.record.created) or _written(found.path))
    if isinstance(found, FoundEvaluation):
        headline, figures = _score_headline(found)
        state: State = "running" if found.running else "done"
        kind: Kind = "judgement" if found.is_judgement else "evaluation"
        name = (found.scores.model_name or found.path.name)[:LONGEST_NAME]
        return Entry(kind, path, name, state, headline, figures, size, _written(found.path / SCORES))
    return Entry(found.kind, path, model_name(found.path), "done", _artifact_headline(found), {}, size, _written(found.path))


def unreadable(path: Path, error: str, folder: Path) -> Entry:
    """The line of what cannot be read: the error is its headline, without the folder's own path."""
    said = _within(path, error)
    return Entry("unreadable", path.relative_to(folder).as_posix(), path.name, "unreadable", said, {}, folder_bytes(path), _written(path))


def _within(path: Path, error: object) -> str:
    """What an error says, its places being told from `path` on."""
    return str(error).replace(f"{path}{os.sep}", "").replace(str(path), path.name)[:LONGEST_HEADLINE]


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder; links are not followed, and what vanishes meanwhile counts nothing."""
    return sum(_sizes(folder))


def _sizes(folder: Path) -> Iterator[int]:
    try:
        with os.scandir(folder) as inside:
            for one in inside:
                if one.is_dir(follow_symlinks=False):
                    yield from _sizes(Path(one.path))
                elif one.is_file(follow_symlinks=False):
                    yield one.stat(follow_symlinks=False).st_size
    except OSError:  # gone, or not ours to look into
        return


def _run_headline(run: FoundRun) -> tuple[str, dict[str, float]]:
    """The summary's three figures, or, of a run that is not finished, how far its stage is."""
    at_work = next((stage for stage in run.stages if stage.state in ("running", "stopped")), None)
    if at_work is not None:
        said = progress_text(at_work)
        return f"{at_work.id} {said}".strip(), {} if at_work.loss is None else {"loss": at_work.loss}
    if run.summary is None:
        trained = [stage for stage in run.stages if stage.loss is not None]
        return (f"{trained[-1].id} loss {number_text(trained[-1].loss, 3)}", {"loss": trained[-1].loss or 0.0}) if trained else ("", {})
    pairs: Sequence[tuple[str, Figures]] = [(name, getattr(run.summary.headline, key)) for key, name in HEADLINE.items()]
    known = [(name, pair) for name, pair in pairs if pair.adapted is not None]
    said = ", ".join(f"{name} {number_text(pair.base, 3)} → {number_text(pair.adapted, 3)}" for name, pair in known)
    return said, {name: pair.adapted for name, pair in known if pair.adapted is not None}


def _score_headline(found: FoundEvaluation) -> tuple[str, dict[str, float]]:
    benchmarks = found.scores.benchmarks
    said = [f"{entry.id} {number_text(entry.primary.value, 3)}" for entry in benchmarks[:MOST_SCORES]]
    said += [f"{len(benchmarks) - MOST_SCORES} more"] if len(benchmarks) > MOST_SCORES else []
    return ", ".join(said)[:LONGEST_HEADLINE], {entry.id: entry.primary.value for entry in benchmarks if entry.primary.value is not None}


def _artifact_headline(found: FoundArtifact) -> str:
    facts = found.facts
    if found.kind == "corpus":
        return f"{number_text(facts['documents'], 0)} documents, {number_text(facts['characters'], 0)} characters, {number_text(facts['tokens'], 0)} tokens"
    if found.kind == "tokenizer":
        return plural(facts["new_tokens"], "new token") + (f" and {plural(facts['added_bytes'], 'byte')}" if facts["added_bytes"] else "")
    if found.kind == "leaderboard":
        waiting = f", {facts['missing']} not measured yet" if facts["missing"] else ""
        return f"{plural(len(facts['models']), 'model')}, {plural(facts['benchmarks'], 'benchmark')}{waiting}"
    return f"{facts['method']} of {', '.join(facts['models'])}"[:LONGEST_HEADLINE]


def _written(path: Path) -> str:
    """When a file or a folder was last changed; nothing where it is gone."""
    try:
        changed = path.stat().st_mtime
    except OSError:
        return ""
    return datetime.fromtimestamp(changed, timezone.utc).isoformat(timespec="seconds")


def _iso(text: str) -> str:
    """A date that a document names; nothing where it is none."""
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        return ""
    return (given if given.tzinfo else given.replace(tzinfo=timezone.utc)).astimezone(timezone.utc).isoformat(timespec="seconds")
