"""The command `eval compare`: result folders in, a table, JSON or a page out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jp_adapt.core.files import refuse_existing, write_text
from jp_adapt.evaluation.compare import compare_runs, load_run
from jp_adapt.evaluation.published import compare_published
from jp_adapt.recipe.published import load_published

PAGE = "index.html"
Report = dict[str, Any]


def compare(paths: Sequence[Path], page: Path | None = None) -> Report:
    """Compare result folders with the first of them; with `page`, write the comparison there as HTML. UsageError where that file is there already."""
    if page is not None:
        refuse_existing(page, "--html")
    runs = [load_run(path) for path in paths]
    report = compare_runs(runs)
    if page is not None:
        from jp_adapt.pipeline.eval_page import comparison_page

        tables = load_published()
        write_text(page, comparison_page(report, runs, [compare_published(run.scores, tables) for run in runs]))
    return report


def write_evaluation_page(path: Path, page: Path | None = None, baseline: Path | None = None) -> Path:
    """Write the page of one evaluation, index.html in its folder where `page` names no other file (that one is written anew each time).

    With `baseline`, another result folder, the page compares the two, and its items can be chosen by which of them is right.
    """
    from jp_adapt.pipeline.eval_page import evaluation_page

    if page is not None:
        refuse_existing(page, "--html")
    run = load_run(path)
    base = load_run(baseline) if baseline is not None else None
    report = compare_runs([base, run]) if base is not None else None
    target = page or (path if path.is_dir() else path.parent) / PAGE
    write_text(target, evaluation_page(run, compare_published(run.scores, load_published()), base, report))
    return target


def comparison_lines(report: Report) -> list[str]:
    """The comparison as lines of text."""
    lines = []
    for pair in report["pairs"]:
        lines += [
            f"A: {report['models'][0]['name']}, B: {pair['model']}",
            f"{'':2}{'A':>8} {'B':>8} {'B - A':>8}  {'95 % interval':<18} {'p (Holm)':>9} {'items':>6}  benchmark",
        ]
        for entry in pair["benchmarks"]:
            low, high = entry["interval"] or (None, None)
            interval = f"{_number(low, True)} to {_number(high, True)}" if entry["interval"] else "–"
            p = "–" if entry["p_holm"] is None else f"{entry['p_holm']:.4f}"
            figures = f"{_number(entry['a']):>8} {_number(entry['b']):>8} {_number(entry['difference'], True):>8}"
            lines.append(f"  {figures}  {interval:<18} {p:>9} {entry['items']:>6}  {entry['name']}")
            lines.append(f"{'':11}{entry['verdict']}")
            lines += [f"{'':11}! {note}" for note in notes(entry)]
        lines += [
            f"  {_number(text['a']):>8} {_number(text['b']):>8} {_number(text['b'] - text['a'], True):>8}  bits per character of {text['id']}"
            for text in pair["texts"]
        ]
        if pair["only_in_one"]:
            lines.append(f"  not in both: {', '.join(pair['only_in_one'])}")
    if report["tests"] > 1:
        lines.append(f"p values are corrected for {report['tests']} tests (Holm).")
    return lines


def notes(entry: Report) -> list[str]:
    """What a reader of one comparison must know besides its figures."""
    found = []
    if entry["only_a"] or entry["only_b"]:
        found.append(f"{entry['only_a']} items are in A alone and {entry['only_b']} in B alone; only the others are compared")
    if entry["different_prompts"]:
        found.append(f"{entry['different_prompts']} items were asked with another prompt")
    return found + list(entry["warnings"])


def _number(value: float | None, sign: bool = False) -> str:
    return "–" if value is None else f"{value:+.4f}" if sign else f"{value:.4f}"
