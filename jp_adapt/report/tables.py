"""Results as lines of text for a terminal."""

from __future__ import annotations

from jp_adapt.core.shipped import shipped_recipes
from jp_adapt.evaluation.batch_check import as_line
from jp_adapt.evaluation.compare import BenchmarkComparison, Comparison, notes
from jp_adapt.evaluation.leaderboard import Leaderboard
from jp_adapt.evaluation.results import BenchmarkScore, MetricScore, Scores
from jp_adapt.report import terminal
from jp_adapt.report.corpus_report import CorpusReport
from jp_adapt.report.leaderboard_page import score_text
from jp_adapt.report.run_summary import Control, Figures, RunSummary
from jp_adapt.report.written import duration_text, plural


def comparison_lines(report: Comparison) -> list[str]:
    """The comparison as lines of text: for each pair a table, then the verdicts with what must be known besides."""
    lines = []
    for pair in report.pairs:
        rows = [_comparison_row(entry) for entry in pair.benchmarks]
        rows += [(f"bits per character of {text.id}", _number(text.a), _number(text.b), _number(text.b - text.a, True), "", "", "") for text in pair.texts]
        lines.append(f"A: {report.models[0].name}, B: {pair.model}")
        lines += terminal.table(("benchmark", "A", "B", "B - A", "95 % interval", "p (Holm)", "items"), rows, indent=2)
        for entry in pair.benchmarks:
            lines.append(f"  {entry.id}: {entry.verdict}")
            lines += [f"    ! {note}" for note in notes(entry)]
        if pair.only_in_one:
            lines.append(f"  not in both: {', '.join(pair.only_in_one)}")
    if report.tests > 1:
        lines.append(f"p values are corrected for {report.tests} tests (Holm).")
    return lines


def leaderboard_lines(board: Leaderboard) -> list[str]:
    """The leaderboard as lines of text: a table for each suite, models as columns; then what is not measured."""
    lines = []
    for suite in dict.fromkeys(row.suite for row in board.table):
        rows = []
        for row in board.table:
            if row.suite == suite:
                by_model = {standing.model: score_text(standing) for standing in row.standings}
                rows.append((row.name, *(by_model.get(model, "–") for model in board.models), f"{row.items:,}"))
        lines += [suite, *terminal.table(("benchmark", *board.models, "items"), rows, indent=2)]
    if len(board.models) > 1 and board.table:
        over = f"; p values are corrected for {plural(board.tests, 'test')} (Holm)" if board.tests else ""
        lines.append(f"▲ better than {board.models[0]}, ▼ worse, = cannot be told apart, ? no verdict (too few items, or a constant answer){over}.")
    return lines + [f"not measured: {model} on {suite}" for model, suite in board.missing]


def _comparison_row(entry: BenchmarkComparison) -> tuple[str, ...]:
    interval = " to ".join(_number(bound, True) for bound in entry.interval) if entry.interval else "–"
    p = "–" if entry.p_holm is None else f"{entry.p_holm:.4f}"
    return entry.name, _number(entry.a), _number(entry.b), _number(entry.difference, True), interval, p, f"{entry.items:,}"


def _number(value: float | None, sign: bool = False) -> str:
    return "–" if value is None else f"{value:+.4f}" if sign else f"{value:.4f}"


def summary_table(scores: Scores) -> str:
    """The scores as lines of text for a terminal."""
    rows = [_score_row(entry, metric, score) for entry in scores.benchmarks for metric, score in entry.metrics.items()]
    columns = ("benchmark", "metric", "value", "95 % interval", "chance", "majority", "items", "shots")
    lines = [f"{scores.model_name}, profile {scores.profile}", *terminal.table(columns, rows, words=2)]
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


def _score_row(entry: BenchmarkScore, metric: str, score: MetricScore) -> tuple[str, ...]:
    """A metric of a benchmark; what is the benchmark's own stands in the row of its primary metric."""
    interval = "" if score.interval is None else f"{score.interval[0]:.3f} - {score.interval[1]:.3f}"
    if metric != entry.primary_metric:
        return "", metric, _figure(score.value), interval, "", "", "", ""
    of_benchmark = (_figure(entry.chance), _figure(entry.majority), f"{entry.items:,}", str(entry.num_fewshot))
    return entry.id, metric, _figure(score.value), interval, *of_benchmark


def sample_line(entry: BenchmarkScore) -> str:
    """Of which items the scores are, where not all were measured."""
    return f"a sample of {entry.items} of {entry.sample.of:,} items, drawn with seed {entry.sample.seed}" if entry.sample is not None else ""


def _touched_line(entry: BenchmarkScore) -> list[str]:
    """Scores of the items that the training corpus holds, and of the others."""
    if entry.touched is None or not entry.touched.items:
        return []
    parts = (("clean", entry.touched.clean), ("touched", entry.touched.touched))
    given = [f"{_figure(part.metrics[entry.primary_metric])} over {part.items} {name} items" for name, part in parts if part is not None]
    return [f"  {entry.id}: {entry.primary_metric} {', '.join(given)}"]


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}" if abs(value) < 10 else f"{value:.2f}"


def corpus_table(report: CorpusReport) -> str:
    """The figures of each source, what could not be read, and what each step did, as lines of text."""
    rows = [
        (
            source.name,
            f"{source.documents:,}",
            f"{source.characters:,}",
            f"{source.tokens:,}" if source.tokens else "-",
            f"{source.chars_per_token:.3f}" if source.chars_per_token else "-",
            f"{source.mixture_share:.1%}" if source.mixture_share else "-",
        )
        for source in report.sources
    ]
    lines = terminal.table(("source", "documents", "characters", "tokens", "chars/token", "share"), rows)
    if any(source.tokens for source in report.sources):
        end = report.document_end
        lines.append(f"documents end with the token {end}" if end else "no token ends the documents (prepared by an earlier version)")
    for source in report.sources:
        if source.problems.count:
            lines.append(f"{source.name}: {source.problems.count:,} documents could not be read, the first: {source.problems.first[0]}")
    steps = []
    for step, sources in report.steps.items():
        counts = sources.values()
        dropped = sum(documents for entry in counts for documents, _ in entry.dropped.values())
        steps.append((step, f"{sum(entry.documents_in for entry in counts):,}", f"{dropped:,}", f"{sum(entry.documents_changed for entry in counts):,}"))
    return "\n".join([*lines, *(terminal.table(("step", "documents", "dropped", "changed"), steps) if steps else [])])


HEADLINE = {
    "chars_per_token": "characters per token, Japanese",
    "bits_per_char_ja": "bits per character, held-out Japanese",
    "bits_per_byte_en": "bits per byte, held-out English",
}


def headline_table(summary: RunSummary, run: str = "") -> str:
    """The three figures, the benchmarks and what came of evolutions as lines of text; without any of them, nothing. `run`: see `control_hint`."""
    rows: list[tuple[str, ...]] = []
    for key, title in HEADLINE.items():
        figures: Figures = getattr(summary.headline, key)
        if figures.base is not None and figures.adapted is not None:
            beside = () if summary.control is None else (_share(getattr(summary.control.headline, key).adapted),)
            rows.append((title, f"{figures.base:.3f}", f"{figures.adapted:.3f}", f"{(figures.adapted / figures.base - 1) * 100:+.1f} %", *beside))
    for entry in summary.evaluation.benchmarks:
        compared = entry.comparison
        if entry.base is not None and entry.adapted is not None and compared is not None and compared.interval and compared.difference is not None:
            low, high = (bound / entry.perfect for bound in compared.interval)
            chance = f", chance {entry.chance:.2f}" if entry.chance is not None else ""
            beside = () if summary.control is None else (_share(summary.control.score(entry)),)
            change = f"{compared.difference / entry.perfect:+.3f} [{low:+.3f}, {high:+.3f}]{chance}"
            rows.append((f"{entry.id} {entry.metric}", _share(entry.base.value), _share(entry.adapted.value), change, *beside))
    verdicts = [f"{entry.stage}: {entry.verdict}" for entry in summary.evolutions]
    if not rows:
        return "\n".join(verdicts)
    if summary.control is None:
        return "\n".join([*terminal.table(("", "base", "adapted", "change"), rows), *filter(None, [control_hint(summary, run)]), *verdicts])
    lines = terminal.table(("", "base", "adapted", "change", "control"), rows)
    return "\n".join([*lines, control_line(summary, summary.control), *verdicts])


def control_line(summary: RunSummary, control: Control) -> str:
    """Which run the control is, and how long both trained."""
    lasted = f"training and held-out measures took {duration_text(control.training_s)}, in this run {duration_text(summary.training_s)}"
    title = f" ({control.title})" if control.title else ""
    return f"control: run {control.name} of {control.created[:10]}{title}, {lasted}"


def control_hint(summary: RunSummary, run: str = "") -> str:
    """How a control is made for a run that extends the tokenizer and has none: without one its figures do not tell the extension from the training. `run`:
    its folder, by default where runs of its name lie."""
    if summary.tokenizer is None or summary.control is not None:
        return ""
    control, report = f"{summary.run.name}-base-tokenizer", f"jp-adapt report {run or f'runs/{summary.run.name}'} --control"
    if control in shipped_recipes():
        return f"no control (the base's own tokenizer, trained as long) yet: jp-adapt run {control} --out runs/control, then {report} runs/control"
    return f"no control (the base's own tokenizer, trained as long) yet: {report} OTHER puts the figures of such a run beside"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
