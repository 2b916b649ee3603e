"""Prepare a corpus: sources through steps into token shards, in any number of processes, resumed after any kill, the same bytes every time."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial as partial_call
from pathlib import Path
from typing import Any

from jp_adapt.core.claim import refuse_other_work
from jp_adapt.core.documents import record_from
from jp_adapt.core.errors import InputError, UsageError
from jp_adapt.core.files import new_folder, read_json, write_json
from jp_adapt.core.hashes import sha256_json
from jp_adapt.core.lock import folder_lock
from jp_adapt.corpus.assemble import Output, assemble
from jp_adapt.corpus.figures import REPORT, CorpusFigures, Problems
from jp_adapt.corpus.json_lines import ShapeError
from jp_adapt.corpus.lines import OnError
from jp_adapt.corpus.parts import Task, Work, do_tasks, iter_parts, part_file
from jp_adapt.corpus.shards import FORMAT
from jp_adapt.corpus.steps import Document

MAX_NAME_BYTES = 255  # of a file or folder, on every system that is common
MAX_PROBLEMS = 20  # named of each source; all are counted
MOVE = "give another --out, or move it away"


Read = Callable[[OnError], Iterator[tuple[str, str]]]  # what gives the (place, text) of each document of a unit


@dataclass(frozen=True)
class SourceReader:
    """A source: its name, its units (files) in order, and whether a document that cannot be read is counted and left out, or stops all.

    Units are what machines share out among them, and what is not read again once it is done.
    """

    name: str
    units: tuple[Read, ...]
    skip_errors: bool = False


def prepare_corpus(
    out: Path,
    sources: Sequence[SourceReader],
    work: Work,
    output: Output,
    *,
    identity: dict[str, Any],
    processes: int = 1,
    describe: Callable[[CorpusFigures], dict[str, str]] | None = None,
    on_part: Callable[[int], None] = lambda done: None,
) -> CorpusFigures:
    """Do all parts, then write the folder `out`, whole or not at all: shards, index.json and report.json. The report comes back.

    Unfinished work lies in `out`.partial until then, and the same call resumes from it.

    Args:
        identity: everything that decides the result; work of another identity is never touched.
        describe: report -> more files to write beside it, by name.

    Raises:
        RunFolderError: `out` or its .partial holds another corpus, or another process works there.
        InputError: a document cannot be read and its source does not skip such, or nothing is left after the steps.
        JpAdaptError: a step failed, a process was killed, or the disk is full; what is finished stays in the .partial folder.
    """
    partial = partial_folder(out)
    done = _finished(out, identity)
    if done is not None:
        if (partial / "identity.json").is_file() and read_json(partial / "identity.json") == identity:
            shutil.rmtree(partial)  # its maker was killed after the rename
        return done
    with folder_lock(partial):
        do_units(partial, sources, work, identity=identity, processes=processes, on_part=on_part)
        parts, problems = _finished_units(partial, sources)
        with new_folder(out) as target:
            made = assemble(parts, target, work, output)
            if not any(stats.documents for stats in made.stats.values()):
                raise InputError("no document is left after the steps; look at their counts: run with fewer steps, or softer ones")
            figures = [{"name": name, **asdict(stats), "problems": asdict(problems[name])} for name, stats in made.stats.items()]
            content = {"sources": figures, "steps": made.counts.to_json(), "document_end": identity.get("document_end")}
            report = record_from(CorpusFigures, content, REPORT)
            named = [{"name": name, "documents": stats.documents, "characters": stats.characters, "tokens": stats.tokens} for name, stats in made.stats.items()]
            index = {"format": FORMAT, "dtype": work.dtype, "document_end": work.document_end, "identity_sha256": sha256_json(identity), "identity": identity}
            write_json(target / "index.json", index | {"sources": named, "shards": made.shards})
            report.write(target / REPORT)
            for name, text in (describe(report) if describe else {}).items():
                (target / name).write_text(text, encoding="utf-8")
        shutil.rmtree(partial)
    return report


def partial_folder(out: Path) -> Path:
    """Where the unfinished work on a corpus in `out` lies. UsageError where no folder beside `out` can have such a name."""
    out = out if out.name not in ("", "..") else out.resolve()
    partial = out.with_name(f"{out.name}.partial") if out.name else None
    if partial is None:
        raise UsageError(f"{out}: is not a folder that a corpus can be made as; give the name of a new one with --out")
    if len(os.fsencode(partial.name)) > MAX_NAME_BYTES:
        raise UsageError(
            f"{out.name[:20]}...: a name of {len(os.fsencode(out.name))} bytes, and with '.partial' at most {MAX_NAME_BYTES} are allowed; shorten it"
        )
    return partial


def do_units(
    partial: Path,
    sources: Sequence[SourceReader],
    work: Work,
    *,
    identity: dict[str, Any],
    rank: int = 0,
    world_size: int = 1,
    processes: int = 1,
    on_part: Callable[[int], None] = lambda done: None,
) -> None:
    """Do the parts of every `world_size`-th unit, from number `rank` on, into the folder `partial`. Ranks may work at once, on one machine or many.

    Raises:
        As `prepare_corpus`.
    """
    _claim(partial, identity, alone=world_size == 1)

    def tasks() -> Iterator[Task]:
        for unit, (source, read) in enumerate(_units(sources)):
            if unit % world_size != rank or _marker(partial, unit).is_file():
                continue
            problems, parts = Problems(), -1
            for parts, part in enumerate(iter_parts(_read(source, read, problems))):
                yield part_file(partial / "parts", unit, parts), part
            yield partial_call(write_json, _marker(partial, unit), {"source": source.name, "parts": parts + 1, "problems": asdict(problems)})

    do_tasks(work, tasks(), processes, on_part)


def _units(sources: Sequence[SourceReader]) -> Iterator[tuple[SourceReader, Read]]:
    return ((source, read) for source in sources for read in source.units)


def _marker(partial: Path, unit: int) -> Path:
    """The file that says that a unit is done."""
    return partial / "units" / f"unit-{unit:06d}.json"


def _finished_units(partial: Path, sources: Sequence[SourceReader]) -> tuple[list[Path], dict[str, Problems]]:
    """The parts of all units in corpus order, and what could not be read of each source."""
    parts: list[Path] = []
    problems = {source.name: Problems() for source in sources}
    for unit, (source, _) in enumerate(_units(sources)):
        done = read_json(_marker(partial, unit))
        parts += [part_file(partial / "parts", unit, number) for number in range(done["parts"])]
        problems[source.name].count += done["problems"]["count"]
        problems[source.name].first = [*problems[source.name].first, *done["problems"]["first"]][:MAX_PROBLEMS]
    return parts, problems


def _finished(out: Path, identity: dict[str, Any]) -> CorpusFigures | None:
    """The report of a corpus that lies there already and is this one."""
    if not out.exists():
        return None
    if not (out / "index.json").is_file():
        raise UsageError(f"{out}: exists already and is not a prepared corpus; give another --out")
    refuse_other_work(out, read_json(out / "index.json")["identity"], identity, "corpus", MOVE)
    return CorpusFigures.read(out / REPORT)


def _claim(partial: Path, identity: dict[str, Any], *, alone: bool) -> None:
    """Take the folder for this corpus, or continue in it. Work that finished no unit holds no folder: `alone`, a process begins anew in its place."""
    path = partial / "identity.json"
    if path.is_file() and alone and not any((partial / "units").glob("unit-*.json")) and read_json(path) != identity:
        shutil.rmtree(partial / "parts", ignore_errors=True)
        path.unlink()
    if path.is_file():
        refuse_other_work(partial, read_json(path), identity, "corpus", MOVE)
    else:
        write_json(path, identity)


def _read(source: SourceReader, read: Read, problems: Problems) -> Iterator[Document]:
    def on_error(error: InputError) -> None:
        if not source.skip_errors:
            hint = "" if isinstance(error, ShapeError) else ". To count such documents and continue: on_error: skip in the source"
            raise InputError(f"source '{source.name}': {error}{hint}") from error
        problems.count += 1
        if len(problems.first) < MAX_PROBLEMS:
            problems.first.append(str(error))

    for place, text in read(on_error):
        yield Document(text, source.name, place)
