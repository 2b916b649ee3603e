"""The page of a prepared corpus: what it holds of each source, how long its documents are, what every step did, and samples of what was dropped."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from jp_adapt.corpus.steps import StepCounts
from jp_adapt.report.corpus_report import CorpusReport, SourceReport
from jp_adapt.report.pages import drawing, render
from jp_adapt.report.svg import Bar, Series, bar_chart, line_chart
from jp_adapt.report.token_parts import script_name
from jp_adapt.report.written import number_text

SECTIONS = {
    "sources": "Sources",
    "lengths": "Lengths of the documents",
    "scripts": "Scripts",
    "steps": "What each step did",
    "dropped": "Samples of what was dropped",
    "unread": "Documents that could not be read",
}
_NAMES = {"kana_mark": "kana marks", "latin": "Latin letters", "digit": "digits", "space": "white space"}
MOST_BARS = 6  # scripts of one source, the most frequent


def corpus_page(report: CorpusReport) -> str:
    """One self-contained HTML page of a report."""
    sources = report.sources
    documents, characters, tokens = (sum(getattr(source, key) for source in sources) for key in ("documents", "characters", "tokens"))
    named = [("Documents", number_text(documents, 0)), ("Characters", number_text(characters, 0))]
    named += [("Tokens", number_text(tokens, 0)), ("Characters per token", number_text(characters / tokens, 3))] if tokens else []
    dropped = [
        (step, source, reason, samples)
        for step, by_source in report.steps.items()
        for source, counts in by_source.items()
        for reason, samples in counts.samples.items()
    ]
    return render(
        "corpus.html.jinja",
        SECTIONS,
        title=report.title or report.name,
        version="",
        report=report,
        documents=documents,
        named=named,
        length_chart=_lengths(sources),
        script_chart=_scripts(sources),
        script_names=[_script(name) for name in sources[0].scripts] if sources else [],
        script_shares=[(source.name, [100 * count / max(1, source.characters) for count in source.scripts.values()]) for source in sources],
        what_happened=_what_happened,
        dropped_samples=dropped,
    )


def _script(name: str) -> str:
    return _NAMES.get(name) or script_name(name)


def _lengths(sources: Sequence[SourceReport]) -> Markup | None:
    """Share of the documents over their length, a line for each source; a point stands for 2**k to 2**(k+1) - 1."""
    lines = []
    for number, source in enumerate(sources):
        if source.documents:
            last = max(power for power, count in enumerate(source.lengths) if count)
            shares = [100 * count / source.documents for count in source.lengths[: last + 1]]
            lines.append(Series(source.name, list(range(last + 1)), shares, number % 5))
    if not lines:
        return None
    unit = "tokens" if any(source.tokens for source in sources) else "characters"
    return drawing(line_chart(lines, title="Documents by length", x_label=f"k: 2^k to 2^(k+1)-1 {unit}", y_label="% of documents"))


def _scripts(sources: Sequence[SourceReport]) -> Markup:
    groups = []
    for number, source in enumerate(sources):
        shares = sorted(((100 * count / max(1, source.characters), name) for name, count in source.scripts.items()), key=lambda named: -named[0])
        if source.documents:
            groups.append((source.name, [Bar(_script(name), share, number % 5) for share, name in shares[:MOST_BARS] if share]))
    return drawing(bar_chart(groups, title="Characters by script", unit="%"))


def _what_happened(counts: StepCounts) -> str:
    """Why documents were dropped, and what was changed in others."""
    reasons = ", ".join(f"{reason}: {number_text(documents, 0)}" for reason, (documents, _) in counts.dropped.items())
    changes = ", ".join(f"{kind}: {number_text(number, 0)}" for kind, number in counts.changes.items())
    return "; ".join(part for part in (reasons, changes) if part)
