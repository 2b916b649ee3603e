"""The pages of `eval`: one evaluation, or several compared; figures, charts beside published scores of the same protocol, and every item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from jp_adapt.benchmarks.metrics import METRICS
from jp_adapt.evaluation.compare import Comparison, Pair, Run, notes
from jp_adapt.evaluation.published import BesidePublished, PublishedComparison, PublishedRow
from jp_adapt.evaluation.results import BenchmarkScore
from jp_adapt.report.eval_items import browser_data
from jp_adapt.report.html_parts import cell, fact_list, none, page, short_hash, table
from jp_adapt.report.svg import Bar, Mark, bar_chart, interval_bar
from jp_adapt.report.svg_radar import LEAST_AXES, Polygon, radar
from jp_adapt.report.tables import sample_line
from jp_adapt.report.written import escape, number_text, range_text

MOST_POLYGONS = 4  # on one radar: as many as the palette has colours beside the grey of published bars
_CSS = """.controls { display: flex; flex-wrap: wrap; align-items: baseline; gap: .5rem 1.2rem; margin: .8rem 0; font-size: .9rem; }
.controls :is(select, input, button) { font: inherit; color: var(--ink); background: var(--panel); border: 1px solid var(--rule); }
.controls :is(select, input, button) { border-radius: 4px; padding: .2rem .5rem; }
#browser :is(summary, td, .mark) { unicode-bidi: isolate; }
#browser details { border-bottom: 1px solid var(--rule); padding: .4rem 0; }
#browser summary { cursor: pointer; overflow-wrap: anywhere; }
#browser details details { border: 0; font-size: .9rem; }
#browser .mark { margin-left: .8rem; font-size: .9rem; font-variant-numeric: tabular-nums; }
#browser .mark.right { color: var(--good); } #browser .mark.wrong { color: var(--bad); }
#browser pre { white-space: pre-wrap; overflow-wrap: anywhere; }
#browser table { min-width: 0; margin: .6rem 0; } #browser td { padding-right: 1.2rem; }
@media print { .controls { display: none; } }
.verdict { min-width: 14rem; max-width: 22rem; }
.figures { align-items: start; }
main > section > details > summary { cursor: pointer; margin: .8rem 0; }
"""
_NO_SCRIPT = '<noscript><p class="note">The browser of the items needs JavaScript; everything is also in outputs.jsonl.</p></noscript><div id="browser"></div>'


def evaluation_page(run: Run, published: PublishedComparison, baseline: Run | None = None, report: Comparison | None = None) -> str:
    """The page of one evaluation. `published`: what `compare_published` says of it. With `baseline` it is compared with another one too, as `report` says."""
    entries = run.scores.benchmarks
    runs = [run] if baseline is None else [baseline, run]
    sections = [("scores", "Scores", _scores(entries) + _apart(entries) + _texts(run))]
    if report is not None:
        sections += [(f"pair-{index}", f"Against {escape(runs[0].name)}", _pair(runs[0].name, pair)) for index, pair in enumerate(report.pairs)]
    sections += [
        ("charts", "Beside published models", _charts(runs, [published])),
        ("items", "Every item", _NO_SCRIPT),
        ("sources", "Data and licences", _sources(entries)),
    ]
    warnings = sum(len(entry.warnings) for entry in entries)
    lead = f"{escape(run.name)} on {len(entries)} benchmark{'s' * (len(entries) != 1)}, profile {escape(run.scores.profile)}."
    lead += f' <span class="bad">{warnings} warning{"s" * (warnings != 1)}.</span>' if warnings else ""
    return _page(f"Evaluation of {run.name}", lead, "".join(map(_facts, runs)), sections, runs)


def comparison_page(report: Comparison, runs: Sequence[Run], published: Sequence[PublishedComparison]) -> str:
    """The page of `eval compare`: every pair, charts, and an item browser that finds what one model gets right and the other wrong."""
    sections = [(f"pair-{index}", f"{escape(pair.model)} against {escape(runs[0].name)}", _pair(runs[0].name, pair)) for index, pair in enumerate(report.pairs)]
    sections += [
        ("charts", "All models", _charts(runs, published)),
        ("items", "Every item", _NO_SCRIPT),
        ("sources", "Data and licences", _sources(runs[0].scores.benchmarks)),
    ]
    outcomes = Counter(entry.outcome for pair in report.pairs for entry in pair.benchmarks)
    lead = f"{sum(outcomes.values())} comparisons on the same items: {outcomes['better'] + outcomes['worse']} differ, "
    lead += f"{outcomes['no difference']} cannot be told apart{f', {without} without a verdict' if (without := outcomes['no verdict']) else ''}. "
    lead += f"Level {report.level:g}, corrected for {report.tests} tests (Holm)." if report.tests > 1 else ""
    return _page(f"{runs[0].name} and {', '.join(run.name for run in runs[1:])}", lead, "".join(map(_facts, runs)), sections, runs)


def _page(title: str, lead: str, named: str, sections: Sequence[tuple[str, str, str]], runs: Sequence[Run]) -> str:
    script = files("jp_adapt.report").joinpath("eval_page.js").read_text(encoding="utf-8")
    return page(escape(title), lead, named, sections, css=_CSS, script=script, data=browser_data(runs))


def _facts(run: Run) -> str:
    known = run.scores.model
    facts = [("Model", escape(run.name)), ("Profile", escape(run.scores.profile)), ("Vocabulary", _count(known.get("vocab_size")))]
    return fact_list(
        [*facts, ("Parameters", _count(known.get("parameters"))), ("Folder", f"<code>{escape(known['path'])}</code>" if known.get("path") else "")]
    )


def _items(items: int) -> str:
    return f"{items:,} item{'s' * (items != 1)}"


def _count(value: Any) -> str:
    return number_text(value, 0) if value is not None else ""


def _scores(entries: Sequence[BenchmarkScore]) -> str:
    """A row for each metric, with its interval, chance and majority, and every warning below its benchmark."""
    if not entries:
        return none("No benchmark was measured.")
    bodies = ""
    for entry in entries:
        lines = ""
        for index, (metric, score) in enumerate(sorted(entry.metrics.items(), key=lambda one: one[0] != entry.primary_metric)):
            drawing = ""
            if index == 0 and score.value is not None and score.interval and _share(entry, score.value) is not None and score.value <= 1:
                drawing = interval_bar([Mark(metric, score.value, *score.interval, 1)], chance=entry.chance, title=entry.id)
            head = f'<th scope="rowgroup" rowspan="{len(entry.metrics)}">{escape(entry.title)}<small>{escape(entry.name)}</small></th>' if index == 0 else ""
            figures = cell(number_text(score.value, 4), range_text(score.interval, 4)) + f"<td>{drawing}</td>"
            first = (number_text(entry.chance, 3), number_text(entry.majority, 3), number_text(entry.items, 0)) if index == 0 else ("", "", "")
            lines += f"<tr>{head}<td>{escape(metric)}</td>{figures}{''.join(map(cell, first))}</tr>"
        bodies += f"<tbody>{lines}</tbody>"
    columns = ["Benchmark", "Metric", "Value", "95 % interval", "Chance", "Majority", "Items"]
    return table("Value with its 95 % interval below it", columns, bodies, 2) + "".join(f'<p class="warning">{text}</p>' for text in _warnings(entries))


def _warnings(entries: Sequence[BenchmarkScore]) -> list[str]:
    found = [f"{escape(entry.id)}: {escape(warning)}" for entry in entries for warning in entry.warnings]
    found += [f"{escape(entry.id)}: {sample_line(entry)}" for entry in entries if entry.sample is not None]
    found += [f"{escape(entry.id)}: scoring begins inside the prompt in {_items(entry.moved_boundaries)}" for entry in entries if entry.moved_boundaries]
    found += [f"{escape(entry.id)}: of this profile could not be reproduced: {escape(entry.note)}" for entry in entries if entry.note]
    return found + [f"{escape(entry.id)}: cut to fit the model: {_items(entry.truncated_items)}" for entry in entries if entry.truncated_items]


def _apart(entries: Sequence[BenchmarkScore]) -> str:
    """What stands behind a value: items that a training corpus holds and the others, wordings of the prompt, groups."""
    rows = ""
    for entry in entries:
        parts: list[tuple[str, float | None, int | None]] = []
        if entry.touched is not None:
            for name, part in (("items in the training corpus", entry.touched.touched), ("the other items", entry.touched.clean)):
                if part is not None:
                    parts.append((name, part.metrics[entry.primary_metric], part.items))
        if entry.prompt_set is not None:
            parts += [(f"prompt \u201c{wording}\u201d", value, entry.items) for wording, value in entry.prompt_set.values.items()]
            parts.append(("mean of the prompts", entry.prompt_set.mean, None))
        parts += [(group, values[entry.primary_metric], None) for group, values in entry.groups.items()]
        for index, (name, value, items) in enumerate(parts):
            head = f'<th scope="rowgroup" rowspan="{len(parts)}">{escape(entry.id)}<small>{escape(entry.primary_metric)}</small></th>' if index == 0 else ""
            rows += f"<tr>{head}<td>{escape(name)}</td>{cell(number_text(value, 4))}{cell(number_text(items, 0) if items is not None else '')}</tr>"
    if not rows:
        return ""
    shown = table("Parts of the benchmarks: items apart, wordings, groups", ["Benchmark", "Part", "Value", "Items"], rows, 2)
    return f"<details><summary>Parts of the benchmarks</summary>{shown}</details>"


def _texts(run: Run) -> str:
    """Bits of the texts that were measured."""
    rows = "".join(
        f'<tr><th scope="row">{escape(text.id)}</th>{cell(number_text(text.bits_per_char, 4))}{cell(number_text(text.bits_per_byte, 4))}'
        f"{cell(number_text(text.chars, 0))}{cell(number_text(text.tokens, 0))}</tr>"
        for text in run.scores.texts
    )
    return table("Texts", ["Text", "Bits per character", "Bits per byte", "Characters", "Tokens"], rows) if rows else ""


def _pair(base: str, pair: Pair) -> str:
    """The table of one pair, and what must be known about it."""
    rows, told = "", ""
    for entry in pair.benchmarks:
        good = {"better": "good", "worse": "bad"}.get(entry.outcome, "")
        figures = cell(number_text(entry.a, 4)) + cell(number_text(entry.b, 4))
        interval = range_text(entry.interval, 4, sign=True)
        figures += cell(number_text(entry.difference, 4, sign=True), interval) + cell(number_text(entry.p_holm, 4), escape(entry.test))
        figures += cell(number_text(entry.minimal_detectable_difference, 4)) + cell(f"+{len(entry.gained)} / \u2212{len(entry.lost)}")
        words = f'<td class="verdict"><span class="{good}">{escape(entry.verdict)}</span></td>'
        rows += f'<tr><th scope="row">{escape(entry.title)}<small>{escape(entry.name)}</small></th>{words}{figures}</tr>'
        told += "".join(f'<p class="warning">{escape(entry.id)}: {escape(note)}</p>' for note in notes(entry))
    columns = ["Benchmark", "Verdict", "A", "B", "B \u2212 A", "p (Holm)", "Detectable", "Gained / lost"]
    texts = "".join(f"<li>{escape(text.id)}: {text.a:.4f} and {text.b:.4f} bits per character</li>" for text in pair.texts)
    left = ", ".join(map(escape, pair.only_in_one))
    told += f'<p class="note">Not in both: {left}.</p>' if left else ""
    caption = f"A: {escape(base)}; B: {escape(pair.model)}. Detectable: the difference that such a pair would show with 80 % power"
    return table(caption, columns, rows, 2) + told + (f"<ul>{texts}</ul>" if texts else "")


def _share(entry: BenchmarkScore, value: float | None) -> float | None:
    """The value as a share of a perfect score, for a common axis; None for metrics that have none."""
    if value is None or entry.primary_metric == "judge_score":
        return None
    return value / METRICS[entry.primary_metric].perfect


def _charts(runs: Sequence[Run], published: Sequence[PublishedComparison]) -> str:
    """A radar of the benchmarks that all runs have, and bars with every published score of the same protocol."""
    values = [{entry.name: (entry.id, share) for entry in run.scores.benchmarks if (share := _share(entry, _primary(entry))) is not None} for run in runs]
    axes = [name for name in values[0] if all(name in mine for mine in values)]
    theirs = {entry.name: entry.published for one in published for entry in one.benchmarks}
    figures = ""
    if len(axes) >= LEAST_AXES:
        polygons = [Polygon(run.name, [mine[axis][1] for axis in axes], 1 + index) for index, (run, mine) in enumerate(zip(runs, values, strict=True))]
        polygons += _published_polygons(axes, theirs, len(runs) + 1)
        figures += f"<figure>{radar([values[0][axis][0] for axis in axes], polygons, title='Primary metrics, 0 in the middle, 1 at the rim')}</figure>"
    groups = []
    for name in dict.fromkeys(name for mine in values for name in mine):
        bars = [Bar(run.name, mine[name][1], 1 + index) for index, (run, mine) in enumerate(zip(runs, values, strict=True)) if name in mine]
        groups.append((name, [*bars, *(Bar(row.model, row.value, 0) for row in theirs.get(name, []))]))
    if groups:
        figures += f"<figure>{bar_chart(groups, title='With published scores of the same protocol', unit='of a perfect score')}</figure>"
    words = "".join(_published_words(one) for one in published)
    return (f'<div class="figures">{figures}</div>' if figures else none("Nothing here has a common scale.")) + words


def _primary(entry: BenchmarkScore) -> float | None:
    return entry.metrics[entry.primary_metric].value


def _published_polygons(axes: Sequence[str], theirs: Mapping[str, Sequence[PublishedRow]], after: int) -> list[Polygon]:
    """Published models that have a score on every axis, the best first."""
    found: dict[str, dict[str, float]] = {}
    for axis in axes:
        for row in theirs.get(axis, []):
            found.setdefault(row.model, {})[axis] = row.value
    whole = sorted(((sum(mine.values()), name) for name, mine in found.items() if len(mine) == len(axes)), reverse=True)
    return [Polygon(name, [found[name][axis] for axis in axes], after + index) for index, (_, name) in enumerate(whole[: max(0, MOST_POLYGONS + 1 - after)])]


def _published_words(report: PublishedComparison) -> str:
    """For each benchmark: where the model stands among published scores, or why nothing is compared."""
    bodies, assumptions = "", dict[str, str]()
    for entry in report.benchmarks:
        lines = ""
        for index, row in enumerate(entry.published):
            head = f'<th scope="rowgroup" rowspan="{len(entry.published)}">{escape(entry.name)}</th>' if index == 0 else ""
            mark = ""
            if row.assumed:
                mark = assumptions.setdefault(row.assumed, "*" * (1 + len(assumptions)))
            source = f"<small>{escape(row.table)}{mark}</small>"
            lines += f"<tr>{head}<td>{escape(row.model)}{source}</td><td>{escape(row.verdict)}</td>"
            lines += cell(number_text(row.value, 4)) + cell(number_text(row.difference, 4, sign=True)) + "</tr>"
        bodies += f"<tbody>{lines}</tbody>" if lines else ""
    without = [entry for entry in report.benchmarks if not entry.published]
    told = "".join(f"<li>{escape(entry.name)}: {_why(entry)}</li>" for entry in without)
    name = escape(report.model)
    columns = ["Benchmark and protocol", "Published model", f"{name} is", "Published", "Difference"]
    shown = table(f"{name} beside published scores", columns, bodies, 3) if bodies else ""
    shown += "".join(f'<p class="note">{mark} {escape(assumed)}</p>' for assumed, mark in assumptions.items())
    folded = f"<details><summary>{name} beside each published score</summary>{shown}</details>" if shown else ""
    return folded + (f'<p class="note">Not compared:</p><ul class="note">{told}</ul>' if told else "")


def _why(entry: BesidePublished) -> str:
    if entry.reasons:
        return escape("; ".join(entry.reasons))
    if entry.not_compared:
        return f"published with another protocol only ({escape(', '.join(entry.not_compared))})"
    return "nothing published is known here"


def _sources(entries: Sequence[BenchmarkScore]) -> str:
    rows = ""
    for entry in entries:
        hashes = ", ".join(f"{escape(name)} {short_hash(value)}" for name, value in entry.sha256.items())
        words = (
            escape(entry.version),
            escape(entry.licence),
            f"{escape(entry.source)}<small>{escape(entry.revision)}</small>",
            hashes + (f"<small>{entry.data}</small>" if entry.data else ""),
        )
        rows += f'<tr><th scope="row">{escape(entry.id)}</th>{"".join(f"<td>{text}</td>" for text in words)}</tr>'
    return table("What was read", ["Benchmark", "Version", "Licence", "Source", "SHA-256"], rows, 5) if rows else none("Nothing was read.")
