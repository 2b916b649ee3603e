"""The command `eval compare`: result folders in, a table, JSON or a page out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jp_adapt.benchmarks.published import load_published
from jp_adapt.core.files import refuse_existing, write_text
from jp_adapt.evaluation.compare import Comparison, compare_runs, load_runs
from jp_adapt.evaluation.published import compare_published

PAGE = "index.html"


def compare(paths: Sequence[Path], page: Path | None = None) -> Comparison:
    """Compare result folders with the first of them; with `page`, write the comparison there as HTML. UsageError where that file is there already."""
    if page is not None:
        refuse_existing(page, "--html")
    runs = load_runs(paths)
    report = compare_runs(runs)
    if page is not None:
        from jp_adapt.report.eval_page import comparison_page

        tables = load_published()
        write_text(page, comparison_page(report, runs, [compare_published(run.scores, tables) for run in runs]))
    return report


def write_evaluation_page(path: Path, page: Path | None = None, baseline: Path | None = None) -> Path:
    """Write the page of one evaluation, index.html in its folder where `page` names no other file (that one is written anew each time).

    With `baseline`, another result folder, the page compares the two, and its items can be chosen by which of them is right.
    """
    from jp_adapt.report.eval_page import evaluation_page

    if page is not None:
        refuse_existing(page, "--html")
    *bases, run = load_runs([path] if baseline is None else [baseline, path])
    base, report = (bases[0], compare_runs([*bases, run])) if bases else (None, None)
    target = page or (path if path.is_dir() else path.parent) / PAGE
    write_text(target, evaluation_page(run, compare_published(run.scores, load_published()), base, report))
    return target
