"""The pages of `eval`: one evaluation, or several compared; figures, charts beside published scores of the same protocol, and every item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from jp_adapt.benchmarks.metrics import METRICS
from jp_adapt.evaluation.compare import Comparison, Pair, Run, notes
from jp_adapt.evaluation.metrics.relative import JUDGE_RATIO
from jp_adapt.evaluation.published import BesidePublished, PublishedComparison, PublishedRow
from jp_adapt.evaluation.results import BenchmarkScore, MetricScore
from jp_adapt.report.eval_items import browser_data
from jp_adapt.report.pages import drawing, render
from jp_adapt.report.svg import Bar, Mark, bar_chart, interval_bar
from jp_adapt.report.svg_heat import heat_map
from jp_adapt.report.svg_radar import LEAST_AXES, Polygon, radar
from jp_adapt.report.tables import sample_line
from jp_adapt.report.written import number_text, plural

MOST_POLYGONS = 4  # on one radar: as many as the palette has colours beside the grey of published bars


@dataclass(frozen=True)
class _ScoreRow:
    """A benchmark with its metrics, the primary one first, and the drawing of that one."""

    entry: BenchmarkScore
    metrics: list[tuple[str, MetricScore]]
    bar: Markup


@dataclass(frozen=True)
class _Beside:
    """A model with the benchmarks that have published scores."""

    model: str
    rows: list[BesidePublished]


def evaluation_page(run: Run, published: PublishedComparison, baseline: Run | None = None, report: Comparison | None = None) -> str:
    """The page of one evaluation. `published`: what `compare_published` says of it. With `baseline` it is compared with another one too, as `report` says."""
    entries = run.scores.benchmarks
    runs = [run] if baseline is None else [baseline, run]
    pairs = report.pairs if report is not None else []
    lead = f"{run.name} on {plural(len(entries), 'benchmark')}, profile {run.scores.profile}."
    alarms = sum(len(entry.warnings) for entry in entries)
    headings = {f"pair-{index}": f"Against {runs[0].name}" for index in range(len(pairs))}
    return _page(f"Evaluation of {run.name}", lead, runs, [published], {"scores": "Scores"} | headings, pairs=pairs, alarms=alarms, scored=run)


def comparison_page(report: Comparison, runs: Sequence[Run], published: Sequence[PublishedComparison]) -> str:
    """The page of `eval compare`: every pair, charts, and an item browser that finds what one model gets right and the other wrong."""
    headings = {f"pair-{index}": f"{pair.model} against {runs[0].name}" for index, pair in enumerate(report.pairs)}
    title = f"{runs[0].name} and {', '.join(run.name for run in runs[1:])}"
    return _page(title, _comparison_lead(report), runs, published, headings, pairs=report.pairs)


def _comparison_lead(report: Comparison) -> str:
    outcomes = Counter(entry.outcome for pair in report.pairs for entry in pair.benchmarks)
    differ = outcomes["better"] + outcomes["worse"]
    lead = f"{plural(sum(outcomes.values()), 'comparison')} on the same items: {differ} {'differs' if differ == 1 else 'differ'}, "
    lead += f"{outcomes['no difference']} cannot be told apart{f', {without} without a verdict' if (without := outcomes['no verdict']) else ''}."
    return lead + (f" Level {report.level:g}, corrected for {report.tests} tests (Holm)." if report.tests > 1 else "")


def _page(
    title: str,
    lead: str,
    runs: Sequence[Run],
    published: Sequence[PublishedComparison],
    headings: dict[str, str],
    *,
    pairs: Sequence[Pair],
    alarms: int = 0,
    scored: Run | None = None,
) -> str:
    entries = scored.scores.benchmarks if scored is not None else []
    figures = [*_figures(runs, published), *(grid for run in runs for grid in _grids(run))]
    beside = [_Beside(item.model, [entry for entry in item.benchmarks if entry.published]) for item in published]
    with_published = any(item.rows for item in beside)
    if figures or with_published:
        headings |= {"charts": "Beside published models" if with_published else "All benchmarks"}
    assumed = dict.fromkeys(row.assumed for item in beside for entry in item.rows for row in entry.published if row.assumed)
    return render(
        "evaluation.html.jinja",
        headings | {"items": "Every item", "sources": "Data and licences"},
        script="eval_page.js",
        data=browser_data(runs),
        title=title,
        version=str(runs[-1].scores.environment.get("jp-adapt") or ""),
        lead=lead,
        alarms=alarms,
        run_facts=[_facts(run) for run in runs],
        rows=[_score_row(entry) for entry in entries],
        told=_warnings(entries),
        parts=[(entry, parts) for entry in entries if (parts := _parts(entry))],
        texts=scored.scores.texts if scored is not None else [],
        base=runs[0].name,
        pairs=pairs,
        notes=notes,
        figures=figures,
        published=beside,
        marks={text: "*" * (1 + index) for index, text in enumerate(assumed)},
        not_compared=_not_compared(published),
        entries=runs[-1].scores.benchmarks,
    )


def _facts(run: Run) -> list[tuple[str, str]]:
    known, made = run.scores.model, run.scores.environment
    counts = [
        (name, number_text(known[key], 0) if known.get(key) is not None else "") for name, key in (("Vocabulary", "vocab_size"), ("Parameters", "parameters"))
    ]
    return [
        ("Model", run.name),
        ("Profile", run.scores.profile),
        *counts,
        ("Precision", str(known.get("dtype") or "")),
        ("Device", str(known.get("device") or "")),
        ("Endpoint", str(known.get("endpoint") or "")),
        ("Measured with", ", ".join(f"{name} {made[name]}" for name in ("jp-adapt", "torch", "transformers") if name in made)),
        ("Machine", str(made.get("platform") or "")),
    ]


def _score_row(entry: BenchmarkScore) -> _ScoreRow:
    """A row for each metric, the primary one first with a bar where it has a common scale."""
    value, interval = entry.primary.value, entry.primary.interval
    bar = Markup("")
    if value is not None and interval and _share(entry, value) is not None and value <= 1:
        bar = drawing(interval_bar([Mark(entry.primary_metric, value, *interval, 1)], chance=entry.chance, title=entry.id))
    return _ScoreRow(entry, sorted(entry.metrics.items(), key=lambda named: named[0] != entry.primary_metric), bar)


def _warnings(entries: Sequence[BenchmarkScore]) -> list[str]:
    results = [f"{entry.id}: {warning}" for entry in entries for warning in entry.warnings]
    results += [f"{entry.id}: {sample_line(entry)}" for entry in entries if entry.sample is not None]
    results += [f"{entry.id}: scoring begins inside the prompt in {plural(entry.moved_boundaries, 'item')}" for entry in entries if entry.moved_boundaries]
    results += [f"{entry.id}: of this profile could not be reproduced: {entry.note}" for entry in entries if entry.note]
    return results + [f"{entry.id}: cut to fit the model: {plural(entry.truncated_items, 'item')}" for entry in entries if entry.truncated_items]


def _parts(entry: BenchmarkScore) -> list[tuple[str, float | None, int | None]]:
    """What stands behind a value: items that a training corpus holds and the others, wordings of the prompt, groups."""
    parts: list[tuple[str, float | None, int | None]] = []
    if entry.touched is not None:
        for name, part in (("items in the training corpus", entry.touched.touched), ("the other items", entry.touched.clean)):
            if part is not None:
                parts.append((name, part.metrics.get(entry.primary_metric), part.items))
    if entry.prompt_set is not None:
        parts += [(f"prompt \u201c{wording}\u201d", value, entry.items) for wording, value in entry.prompt_set.values.items()]
        parts.append(("mean of the prompts", entry.prompt_set.mean, None))
    return parts + [(group, values.get(entry.primary_metric), None) for group, values in entry.groups.items()]


def _grids(run: Run) -> list[Markup]:
    """A heat map of each benchmark whose groups fill a grid, such as a needle's lengths and depths: groups called ROW/COLUMN."""
    results = []
    for entry in run.scores.benchmarks:
        cells = {tuple(group.split("/")): values.get(entry.primary_metric) for group, values in entry.groups.items()}
        if entry.primary_metric not in METRICS or any(len(cell) != 2 for cell in cells):
            continue
        rows, columns = (list(dict.fromkeys(cell[side] for cell in cells)) for side in (0, 1))
        if min(len(rows), len(columns)) > 1 and len(cells) == len(rows) * len(columns):
            values = [[cells[row, column] for column in columns] for row in rows]
            title = f"{run.name}, {entry.title}: {entry.primary_metric}"
            results.append(drawing(heat_map(rows, columns, values, title=title, low=0.0, high=METRICS[entry.primary_metric].perfect)))
    return results


def _share(entry: BenchmarkScore, value: float | None) -> float | None:
    """The value as a share of a perfect score, for a common axis; None for metrics that have none. Of grades, the best one is perfect."""
    if value is not None and entry.scale is not None:
        return value / entry.scale[1]
    if value is None or entry.primary_metric not in METRICS:
        return None
    return value / METRICS[entry.primary_metric].perfect


def _figures(runs: Sequence[Run], published: Sequence[PublishedComparison]) -> list[Markup]:
    """A radar of the benchmarks that all runs have, and bars of all runs with every published score of the same protocol."""
    values = [{entry.name: (entry.id, share) for entry in run.scores.benchmarks if (share := _share(entry, entry.primary.value)) is not None} for run in runs]
    axes = [name for name in values[0] if all(name in own for own in values)]
    theirs = {entry.name: entry.published for item in published for entry in item.benchmarks}
    figures = []
    if len(axes) >= LEAST_AXES:
        polygons = [Polygon(run.name, [own[axis][1] for axis in axes], 1 + index) for index, (run, own) in enumerate(zip(runs, values, strict=True))]
        polygons += _published_polygons(axes, theirs, len(runs) + 1)
        figures.append(drawing(radar([values[0][axis][0] for axis in axes], polygons, title="Primary metrics, 0 in the middle, 1 at the rim")))
    groups = []
    for name in dict.fromkeys(name for own in values for name in own):
        bars = [Bar(run.name, own[name][1], 1 + index) for index, (run, own) in enumerate(zip(runs, values, strict=True)) if name in own]
        groups.append((name, [*bars, *(Bar(row.model, row.value, 0) for row in theirs.get(name, []))]))
    if len(runs) > 1 or any(theirs.values()):  # of a single model the table has all there is
        title = "With published scores of the same protocol" if any(theirs.values()) else "Primary metrics"
        figures += [drawing(bar_chart(groups, title=title, unit="of a perfect score", most=1.0))] if groups else []
    return figures + [drawing(svg) for svg in (*_grades(runs), *_ratios(runs))]


def _grades(runs: Sequence[Run]) -> list[str]:
    """How often each grade was given, for each benchmark that a judge graded; means over turns and takes go to the nearest grade."""
    graded = {entry.id: entry.scale for run in runs for entry in run.scores.benchmarks if entry.scale is not None}
    results = []
    for name, (worst, best) in graded.items():
        groups = []
        for index, run in enumerate(runs):
            metrics = {entry.id: entry.primary_metric for entry in run.scores.benchmarks}
            given = [output.scores.get(metrics[name]) for output in run.items.get(name, {}).values()] if name in metrics else []
            counts = Counter(round(grade) for grade in given if grade is not None)
            groups.append(
                (run.name, [Bar(str(grade), 100 * counts[grade] / max(1, counts.total()), 1 + index % 4) for grade in range(round(best), round(worst) - 1, -1)])
            )
        results.append(bar_chart(groups, title=f"Grades: {name}, percent", unit="%"))
    return results


def _ratios(runs: Sequence[Run]) -> list[str]:
    """The grades beside those of reference answers, whole and by category, for each benchmark that a judge graded so."""
    given: dict[str, dict[str, list[Bar]]] = {}
    for index, run in enumerate(runs):
        for entry in run.scores.benchmarks:
            if entry.primary_metric == JUDGE_RATIO:
                parts = {"mean of the categories": entry.primary.value, **{name: values.get(JUDGE_RATIO) for name, values in entry.groups.items()}}
                for name, value in parts.items():
                    given.setdefault(entry.id, {}).setdefault(name, []).append(Bar(run.name, value, 1 + index % 4))
    return [bar_chart(list(groups.items()), title=f"Beside the reference answers: {name}, percent", unit="%", most=100.0) for name, groups in given.items()]


def _published_polygons(axes: Sequence[str], theirs: Mapping[str, Sequence[PublishedRow]], after: int) -> list[Polygon]:
    """Published models that have a score on every axis, the best first."""
    results: dict[str, dict[str, float]] = {}
    for axis in axes:
        for row in theirs.get(axis, []):
            results.setdefault(row.model, {})[axis] = row.value
    whole = sorted(((sum(own.values()), name) for name, own in results.items() if len(own) == len(axes)), reverse=True)
    return [Polygon(name, [results[name][axis] for axis in axes], after + index) for index, (_, name) in enumerate(whole[: max(0, MOST_POLYGONS + 1 - after)])]


def _not_compared(published: Sequence[PublishedComparison]) -> list[tuple[str, str]]:
    """Scores that have published ones of other protocols alone, or of another number of items, and why they are not compared; each once."""
    given: dict[tuple[str, str], Any] = {}
    for entry in (entry for item in published for entry in item.benchmarks if not entry.published):
        if entry.reasons:
            given[entry.name, "; ".join(entry.reasons)] = None
        elif entry.not_compared:
            given[entry.name, f"published with another protocol only ({', '.join(entry.not_compared)})"] = None
    return list(given)
