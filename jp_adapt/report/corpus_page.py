"""The page of a prepared corpus: what it holds of each source, how long its documents are, what every step did, and samples of what was dropped."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from jp_adapt.corpus.steps import StepCounts
from jp_adapt.report.corpus_report import CorpusReport, SourceReport
from jp_adapt.report.differences import differences
from jp_adapt.report.pages import drawing, render
from jp_adapt.report.svg import Bar, bar_chart
from jp_adapt.report.token_parts import script_name
from jp_adapt.report.written import number_text

SECTIONS = {
    "sources": "Sources",
    "lengths": "Lengths of the documents",
    "scripts": "Scripts",
    "steps": "What each step did",
    "dropped": "Samples of what was dropped",
    "pairs": "Near duplicates beside what was kept",
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
    pairs = [
        (source, pair, differences(pair.text, pair.kept)) for by_source in report.steps.values() for source, one in by_source.items() for pair in one.pairs
    ]
    active = [(step, source, one) for step, by_source in report.steps.items() for source, one in by_source.items() if one.dropped or one.documents_changed]
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
        script_names=[script_label(name) for name in sources[0].scripts] if sources else [],
        script_shares=[(source.name, [100 * count / max(1, source.characters) for count in source.scripts.values()]) for source in sources],
        what_happened=_what_happened,
        dropped_samples=dropped,
        pairs=pairs,
        active=active,
        idle=[step for step in report.steps if step not in {name for name, _, _ in active}],
    )


def script_label(name: str) -> str:
    """A script of the counts in words."""
    return _NAMES.get(name) or script_name(name)


def _lengths(sources: Sequence[SourceReport]) -> Markup | None:
    """Share of the documents by their length, a group of bars for each source: from 2**k to 2**(k+1) - 1."""
    groups = []
    for number, source in enumerate(sources):
        used = [power for power, count in enumerate(source.lengths) if count]
        if used:
            powers = range(used[0], used[-1] + 1)
            groups.append((source.name, [Bar(_span(power), 100 * source.lengths[power] / source.documents, number % 5) for power in powers]))
    if not groups:
        return None
    unit = "tokens" if any(source.tokens for source in sources) else "characters"
    return drawing(bar_chart(groups, title=f"Documents by their length in {unit}, percent", unit="%"))


def _span(power: int) -> str:
    return f"{number_text(2**power, 0)} \u2013 {number_text(2 ** (power + 1) - 1, 0)}" if power else "1"


def _scripts(sources: Sequence[SourceReport]) -> Markup:
    groups = []
    for number, source in enumerate(sources):
        shares = sorted(((100 * count / max(1, source.characters), name) for name, count in source.scripts.items()), key=lambda named: -named[0])
        if source.documents:
            groups.append((source.name, [Bar(script_label(name), share, number % 5) for share, name in shares[:MOST_BARS] if share]))
    return drawing(bar_chart(groups, title="Characters by script, percent", unit="%"))


def _what_happened(counts: StepCounts) -> str:
    """Why documents were dropped, and what was changed in others."""
    reasons = ", ".join(f"{reason}: {number_text(documents, 0)}" for reason, (documents, _) in counts.dropped.items())
    changes = ", ".join(f"{kind}: {number_text(number, 0)}" for kind, number in counts.changes.items())
    return "; ".join(part for part in (reasons, changes) if part)
