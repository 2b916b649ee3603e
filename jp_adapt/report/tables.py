"""Results as lines of text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jp_adapt.evaluation.batch_check import as_line
from jp_adapt.evaluation.compare import Comparison, notes
from jp_adapt.evaluation.results import BenchmarkScore, Scores
from jp_adapt.report.run_summary import Figures, RunSummary


def comparison_lines(report: Comparison) -> list[str]:
    """The comparison as lines of text."""
    lines = []
    for pair in report.pairs:
        lines += [
            f"A: {report.models[0].name}, B: {pair.model}",
            f"{'':2}{'A':>8} {'B':>8} {'B - A':>8}  {'95 % interval':<18} {'p (Holm)':>9} {'items':>6}  benchmark",
        ]
        for entry in pair.benchmarks:
            interval = " to ".join(_number(bound, True) for bound in entry.interval) if entry.interval else "–"
            p = "–" if entry.p_holm is None else f"{entry.p_holm:.4f}"
            figures = f"{_number(entry.a):>8} {_number(entry.b):>8} {_number(entry.difference, True):>8}"
            lines.append(f"  {figures}  {interval:<18} {p:>9} {entry.items:>6}  {entry.name}")
            lines.append(f"{'':11}{entry.verdict}")
            lines += [f"{'':11}! {note}" for note in notes(entry)]
        lines += [f"  {_number(text.a):>8} {_number(text.b):>8} {_number(text.b - text.a, True):>8}  bits per character of {text.id}" for text in pair.texts]
        if pair.only_in_one:
            lines.append(f"  not in both: {', '.join(pair.only_in_one)}")
    if report.tests > 1:
        lines.append(f"p values are corrected for {report.tests} tests (Holm).")
    return lines


def _number(value: float | None, sign: bool = False) -> str:
    return "–" if value is None else f"{value:+.4f}" if sign else f"{value:.4f}"


def summary_table(scores: Scores) -> str:
    """The scores as lines of text for a terminal."""
    rows = [("benchmark", "metric", "value", "95 % interval", "chance", "majority", "items", "shots")]
    for entry in scores.benchmarks:
        for metric, score in entry.metrics.items():
            first = metric == entry.primary_metric
            interval = "" if score.interval is None else f"{score.interval[0]:.3f} - {score.interval[1]:.3f}"
            rows.append(
                (
                    entry.id if first else "",
                    metric,
                    _figure(score.value),
                    interval,
                    _figure(entry.chance) if first else "",
                    _figure(entry.majority) if first else "",
                    str(entry.items) if first else "",
                    str(entry.num_fewshot) if first else "",
                )
            )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [f"{scores.model_name}, profile {scores.profile}"]
    lines += ["  ".join(cell.ljust(width) if at < 2 else cell.rjust(width) for at, (cell, width) in enumerate(zip(row, widths, strict=True))) for row in rows]
    lines += [f"! {entry.id}: {warning}" for entry in scores.benchmarks for warning in entry.warnings]
    lines += [f"  {entry.id}: {sample_line(entry)}" for entry in scores.benchmarks if entry.sample is not None]
    lines += [f"  {entry.id}: {entry.moved_boundaries} moved boundaries" for entry in scores.benchmarks if entry.moved_boundaries]
    lines += [f"  {entry.id}: {entry.truncated_items} items were cut to fit the model's context" for entry in scores.benchmarks if entry.truncated_items]
    lines += [f"  {entry.id}: {as_line(entry.batch_check)}" for entry in scores.benchmarks if entry.batch_check is not None]
    lines += [line for entry in scores.benchmarks for line in _touched_line(entry)]
    lines += [
        f"  {entry.id}: {entry.prompt_set.metric} over {len(entry.prompt_set.values)} prompts: mean {_figure(entry.prompt_set.mean)}, "
        f"range {_figure(entry.prompt_set.range[0])} - {_figure(entry.prompt_set.range[1])}"
        for entry in scores.benchmarks
        if entry.prompt_set is not None and entry.prompt_set.range is not None
    ]
    lines += [f"  {text.id}: {text.bits_per_char:.4f} bits per character, {text.bits_per_byte:.4f} per byte" for text in scores.texts]
    return "\n".join(lines)


def sample_line(entry: BenchmarkScore) -> str:
    """Of which items the scores are, where not all were measured."""
    return f"a sample of {entry.items} of {entry.sample.of:,} items, drawn with seed {entry.sample.seed}" if entry.sample is not None else ""


def _touched_line(entry: BenchmarkScore) -> list[str]:
    """Scores of the items that the training corpus holds, and of the others."""
    if entry.touched is None or not entry.touched.items:
        return []
    parts = (("clean", entry.touched.clean), ("touched", entry.touched.touched))
    told = [f"{_figure(part.metrics[entry.primary_metric])} over {part.items} {name} items" for name, part in parts if part is not None]
    return [f"  {entry.id}: {entry.primary_metric} {', '.join(told)}"]


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}" if abs(value) < 10 else f"{value:.2f}"


def table(report: Mapping[str, Any]) -> str:
    """The figures of each source as lines of text."""
    head = f"{'source':<20} {'documents':>11} {'characters':>14} {'tokens':>14} {'chars/token':>11} {'share':>7}"
    lines = [head]
    for source in report["sources"]:
        ratio = f"{source['chars_per_token']:.3f}" if source["chars_per_token"] else "-"
        share = f"{source['mixture_share']:.1%}" if source["mixture_share"] else "-"
        lines.append(f"{source['name']:<20} {source['documents']:>11,} {source['characters']:>14,} {source['tokens']:>14,} {ratio:>11} {share:>7}")
    if any(source["tokens"] for source in report["sources"]):
        end = report.get("document_end")
        lines.append(f"documents end with the token {end}" if end else "no token ends the documents (prepared by an earlier version)")
    unread = [(source["name"], source["problems"]) for source in report["sources"] if source["problems"]["count"]]
    for name, problems in unread:
        lines.append(f"{name}: {problems['count']:,} documents could not be read, the first: {problems['first'][0]}")
    for step, sources in report["steps"].items():
        dropped = sum(documents for counts in sources.values() for documents, _ in counts["dropped"].values())
        documents_in = sum(counts["documents_in"] for counts in sources.values())
        changed = sum(counts["documents_changed"] for counts in sources.values())
        lines.append(f"step {step:<24} {documents_in:>11,} in {dropped:>11,} dropped {changed:>11,} changed")
    return "\n".join(lines)


HEADLINE = {
    "chars_per_token": "characters per token, Japanese",
    "bits_per_char_ja": "bits per character, held-out Japanese",
    "bits_per_byte_en": "bits per byte, held-out English",
}


def headline_table(summary: RunSummary) -> str:
    """The three figures and the benchmarks as lines of text."""
    rows = [("", "base", "adapted", "change")]
    for key, title in HEADLINE.items():
        figures: Figures = getattr(summary.headline, key)
        if figures.base is not None and figures.adapted is not None:
            rows.append((title, f"{figures.base:.3f}", f"{figures.adapted:.3f}", f"{(figures.adapted / figures.base - 1) * 100:+.1f} %"))
    for entry in summary.evaluation.benchmarks:
        compared = entry.comparison
        if entry.base is not None and entry.adapted is not None and compared is not None and compared.interval and compared.difference is not None:
            low, high = (bound / entry.perfect for bound in compared.interval)
            chance = f", chance {entry.chance:.2f}" if entry.chance is not None else ""
            change = f"{compared.difference / entry.perfect:+.3f} [{low:+.3f}, {high:+.3f}]{chance}"
            rows.append((f"{entry.id} {entry.metric}", _share(entry.base.value), _share(entry.adapted.value), change))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}".rstrip() for row in rows)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
