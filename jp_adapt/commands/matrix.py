"""`eval matrix`: every model on every suite, into one folder, and a leaderboard of what is finished.

Data is read once and a model is loaded once for all suites. The same command continues where it was stopped; started several times at once (one per GPU, or as
a Slurm array over a shared disk) the processes share the work, an evaluation each, by the lock that every evaluation holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from jp_adapt.benchmarks.items import load_benchmark, load_suite
from jp_adapt.commands.evaluate import EvalOptions, ReadBenchmark, as_options, evaluate_source, local_model
from jp_adapt.core.claim import WorkRecord, refuse_folder
from jp_adapt.core.errors import JpAdaptError, RunFolderError, UsageError
from jp_adapt.core.files import refuse_unwritable, write_text
from jp_adapt.core.lock import folder_lock, is_locked
from jp_adapt.core.names import folder_name, model_name, told_apart
from jp_adapt.core.plugins import use_plugins
from jp_adapt.core.progress import say
from jp_adapt.evaluation.compare import load_runs
from jp_adapt.evaluation.leaderboard import LEADERBOARD, Leaderboard, leaderboard
from jp_adapt.evaluation.results import SCORES, Asking, read_scores
from jp_adapt.inference.model_source import check_folder, open_source

PAGE = "index.html"
SHARED = ("profile", "limit", "seed", "shots", "dtype", "backend")  # options that every evaluation of a matrix has in common


@dataclass(frozen=True)
class MatrixRecord(WorkRecord):
    """matrix.json: the options that every evaluation of the matrix has, and the models and suites that were ever asked for."""

    FILE: ClassVar[str] = "matrix.json"
    WORK: ClassVar[str] = "matrix"
    WHAT: ClassVar[str] = "the record of a matrix"

    models: list[str] = field(default_factory=list)
    suites: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Cell:
    """One model on one suite. `folder` takes the results, as those of `jp-adapt eval`."""

    name: str
    suite: str
    folder: Path


def evaluate_matrix(models: Sequence[str | Path], suites: Sequence[str], out: str | Path, options: EvalOptions | None = None, **changes: Any) -> Leaderboard:
    """Score every model on every suite, into OUT/MODEL/SUITE, and write leaderboard.json and index.html of what is finished there, earlier commands included.

    Args:
        models: folders, or ORG/NAME[@REVISION] of the hub; the others are compared with the first of the folder's first command.
        suites: names of suites, or their files.
        options: as of `evaluate`, and `changes` fields of it; `suite`, `benchmarks` and `name` are set here.

    Returns:
        The leaderboard. What another process works on meanwhile stands in its `missing`.

    Raises:
        UsageError: no model, no suite, one named twice, or two whose results would lie in one folder.
        RunFolderError: `out` holds something else, or a matrix with other options.
        JpAdaptError: some could not be measured; all others were, and the leaderboard is written.
    """
    out = Path(out)
    refuse_unwritable(out)
    options = replace(options or EvalOptions(), **as_options(changes))
    use_plugins(options.plugins)
    if options.served is not None:
        raise UsageError("a matrix measures models of this machine; for one behind an endpoint: jp-adapt eval NAME --endpoint URL")
    _refuse_repeated("model", [str(model) for model in models])
    _refuse_repeated("suite", suites)
    for suite in suites:
        load_suite(suite)
    local = [local_model(str(model)) for model in models]
    for folder, _ in local:
        check_folder(Path(folder))
    names = told_apart([name or model_name(Path(folder)) for folder, name in local], [folder for folder, _ in local])
    _refuse_repeated("folder", [_slug(name) for name in names])
    _refuse_repeated("folder", [_slug(suite) for suite in suites])
    identity = {name: getattr(options, name) for name in SHARED}
    if options.asking != Asking():
        identity["asking"] = asdict(options.asking)
    _claim(out, identity, names, suites)
    table = {name: [_cell(out, name, suite) for suite in suites] for name in names}
    failures = list(_measure(table, dict(zip(names, (folder for folder, _ in local), strict=True)), options))
    board = write_leaderboard(out)
    if failures:
        raise JpAdaptError("\n".join(["not everything could be measured; the same command tries these again:", *failures]))
    return board


def _measure(table: dict[str, list[Cell]], folders: dict[str, str], options: EvalOptions) -> Iterator[str]:
    """Measure what no other process works on, and give back what failed. A model that another process has loaded comes last."""
    from jp_adapt.inference.model_folder import load_model

    read = cache(load_benchmark)
    for name in sorted(table, key=lambda name: any(is_locked(cell.folder) for cell in table[name])):
        load = cache(load_model)  # let go of with the model
        for cell in table[name]:
            if is_locked(cell.folder):
                say(f"{cell.name} on {cell.suite}: another process is at it")
                continue
            say(f"{cell.name} on {cell.suite}")
            try:
                _measure_cell(cell, Path(folders[name]), options, read, load)
            except RunFolderError as error:
                if not is_locked(cell.folder):
                    yield f"  {cell.name} on {cell.suite}: {error}"
            except JpAdaptError as error:
                yield f"  {cell.name} on {cell.suite}: {error}"


def _measure_cell(cell: Cell, folder: Path, options: EvalOptions, read: ReadBenchmark, load: Any) -> None:
    own = replace(options, suite=cell.suite, benchmarks=(), name=cell.name)
    evaluate_source(
        lambda: open_source(folder, options.dtype, None, cell.folder, backend=options.backend, name=cell.name, load=load), cell.folder, own, read=read
    )


def _claim(out: Path, identity: dict[str, Any], models: Sequence[str], suites: Sequence[str]) -> None:
    """Put the models and suites into the folder's record. RunFolderError where the folder holds something else, or a matrix with other options."""
    path = out / MatrixRecord.FILE
    with folder_lock(out):
        refuse_folder(out, MatrixRecord, identity, results=(out / LEADERBOARD).is_file(), before_results={".lock"})
        before = MatrixRecord.read(path) if path.is_file() else MatrixRecord(identity)
        if identity != before.identity:
            before = MatrixRecord(identity)  # of a command with other options that came to no result
        record = replace(before, models=_joined(before.models, models), suites=_joined(before.suites, suites))
        record.write(path)


def _joined(before: Sequence[str], added: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*before, *added]))


def write_leaderboard(out: Path) -> Leaderboard:
    """The leaderboard of what is finished of all that the folder's record names, into leaderboard.json and index.html."""
    from jp_adapt.report.leaderboard_page import leaderboard_page

    record = MatrixRecord.read(out / MatrixRecord.FILE)
    cells = [_cell(out, model, suite) for model in record.models for suite in record.suites]
    finished = [cell for cell in cells if _is_finished(cell)]
    runs = {suite: load_runs([cell.folder for cell in finished if cell.suite == suite]) for suite in record.suites}
    board = leaderboard(runs, record.models, [(cell.name, cell.suite) for cell in cells if cell not in finished])
    board.write(out / LEADERBOARD)
    pages = {(cell.name, cell.suite): str((cell.folder / PAGE).relative_to(out)) for cell in finished}
    write_text(out / PAGE, leaderboard_page(board, pages))
    return board


def cell_folder(out: Path, model: str, suite: str) -> Path:
    """Where the results of a model on a suite lie in the folder of a matrix."""
    return out / _slug(model) / _slug(suite)


def _cell(out: Path, model: str, suite: str) -> Cell:
    return Cell(model, suite, cell_folder(out, model, suite))


def _is_finished(cell: Cell) -> bool:
    """Whether every benchmark of the suite has a score; one whose data is not there was left out by `missing: skip`."""
    if not (cell.folder / SCORES).is_file() or is_locked(cell.folder):
        return False
    return bool(read_scores(cell.folder).benchmarks)


def _refuse_repeated(what: str, names: Sequence[str]) -> None:
    if not names:
        raise UsageError(f"no {what} is named")
    repeated = next((name for name in names if list(names).count(name) > 1), None)
    if repeated is not None:
        raise UsageError(f"{what} {repeated} is named twice")


def _slug(name: str) -> str:
    return folder_name(name) or "model"
