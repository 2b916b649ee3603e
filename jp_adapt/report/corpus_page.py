"""The page of a prepared corpus: what it holds of each source, how long its documents are, what every step did, and samples of what was dropped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jp_adapt.report.html_parts import cell, fact_list, lang, none, page, table
from jp_adapt.report.svg import Bar, Series, bar_chart, line_chart
from jp_adapt.report.token_parts import SCRIPT_NAMES
from jp_adapt.report.written import escape, number_text

Row = Mapping[str, Any]
_CSS = """.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 1rem 2rem; }
.samples { margin: 0 0 1rem; padding-left: 1.2rem; max-width: 60rem; }
.samples q { white-space: pre-wrap; }
.samples small { color: var(--muted); }
"""
_NAMES = SCRIPT_NAMES | {"kana_mark": "kana marks", "latin": "Latin letters", "digit": "digits", "space": "white space"}


def corpus_page(report: Row) -> str:
    """One self-contained HTML page of a report (`corpus_commands.summary`). Every text of it goes through `escape`."""
    sources = report["sources"]
    documents, characters, tokens = (sum(source[key] for source in sources) for key in ("documents", "characters", "tokens"))
    facts = [("Documents", number_text(documents, 0)), ("Characters", number_text(characters, 0))]
    facts += [("Tokens", number_text(tokens, 0)), ("Characters per token", number_text(characters / tokens, 3))] if tokens else []
    sections = [
        ("sources", "Sources", _sources(sources)),
        ("lengths", "Lengths of the documents", _lengths(sources)),
        ("scripts", "Scripts", _scripts(sources)),
        ("steps", "What each step did", _steps(report["steps"])),
        ("dropped", "Samples of what was dropped", _samples(report["steps"])),
        ("unread", "Documents that could not be read", _problems(sources)),
    ]
    lead = f"{number_text(documents, 0)} documents of {len(sources)} source{'' if len(sources) == 1 else 's'}, cleaned and counted."
    title = escape(report["title"] or report["name"])
    return page(title, lead, fact_list(facts), sections, css=_CSS)


def _sources(sources: list[Row]) -> str:
    rows = ""
    for source in sources:
        share = source["mixture_share"]
        words = f'<th scope="row">{escape(source["name"])}</th><td>{escape(source["language"])}</td><td>{escape(source["licence"])}</td>'
        numbers = [number_text(source[key], 0) for key in ("documents", "characters", "tokens")]
        numbers += [number_text(source["chars_per_token"], 3), number_text(share, 1, times=100) + (" %" if share is not None else "")]
        rows += f"<tr>{words}{''.join(map(cell, numbers))}</tr>"
    columns = ["Source", "Language", "Licence", "Documents", "Characters", "Tokens", "Chars/token", "Share of the mixture"]
    return table("What is left after all steps", columns, rows, 3)


def _lengths(sources: list[Row]) -> str:
    """Share of the documents over their length, a line for each source; a point stands for 2**k to 2**(k+1) - 1."""
    lines = []
    for number, source in enumerate(sources):
        if source["documents"]:
            last = max(power for power, count in enumerate(source["lengths"]) if count)
            lines.append(
                Series(source["name"], list(range(last + 1)), [100 * count / source["documents"] for count in source["lengths"][: last + 1]], number % 5)
            )
    if not lines:
        return none("No document is left.")
    unit = "tokens" if any(source["tokens"] for source in sources) else "characters"
    chart = line_chart(lines, title="Documents by length", x_label=f"k: 2^k to 2^(k+1)-1 {unit}", y_label="% of documents")
    return f'<div class="plots"><figure>{chart}</figure></div>'


def _scripts(sources: list[Row]) -> str:
    groups, rows = [], ""
    for number, source in enumerate(sources):
        shares = {name: 100 * count / max(1, source["characters"]) for name, count in source["scripts"].items()}
        shown = sorted(shares.items(), key=lambda item: -item[1])
        if source["documents"]:
            groups.append((str(source["name"]), [Bar(_NAMES.get(name, name), share, number % 5) for name, share in shown[:6] if share]))
        rows += f'<tr><th scope="row">{escape(source["name"])}</th>{"".join(cell(number_text(share, 2)) for share in shares.values())}</tr>'
    names = [_NAMES.get(name, name) for name in sources[0]["scripts"]]
    chart = bar_chart(groups, title="Characters by script", unit="%")
    return f'<div class="plots"><figure>{chart}</figure></div>{table("Percent of the characters", ["Source", *names], rows)}'


def _steps(steps: Mapping[str, Mapping[str, Row]]) -> str:
    if not steps:
        return none("No step was run.")
    rows = ""
    for step, sources in steps.items():
        for source, counts in sources.items():
            reasons = ", ".join(f"{escape(reason)}: {number_text(documents, 0)}" for reason, (documents, _) in counts["dropped"].items())
            changes = ", ".join(f"{escape(kind)}: {number_text(number, 0)}" for kind, number in counts["changes"].items())
            numbers = (counts["documents_in"], counts["documents_kept"], counts["documents_changed"], counts["documents_in"] - counts["documents_kept"])
            characters = (counts["characters_in"], counts["characters_kept"])
            words = f'<th scope="row">{escape(step)}</th><td>{escape(source)}</td><td>{"; ".join(part for part in (reasons, changes) if part)}</td>'
            rows += f"<tr>{words}{''.join(cell(number_text(number, 0)) for number in (*numbers, *characters))}</tr>"
    columns = ["Step", "Source", "Reasons and changes", "Documents in", "Kept", "Changed", "Dropped", "Characters in", "Characters kept"]
    return table("Documents and characters, step by step", columns, rows, 3)


def _samples(steps: Mapping[str, Mapping[str, Row]]) -> str:
    shown = ""
    for step, sources in steps.items():
        for source, counts in sources.items():
            for reason, samples in counts["samples"].items():
                items = "".join(f"<li><q{lang(one['text'])}>{escape(one['text'])}</q> <small>{escape(one['place'])}</small></li>" for one in samples)
                shown += f'<h3>{escape(step)}: {escape(reason)} ({escape(source)})</h3><ul class="samples">{items}</ul>'
    return shown or none("Nothing was dropped.")


def _problems(sources: list[Row]) -> str:
    shown = ""
    for source in sources:
        problems = source["problems"]
        if problems["count"]:
            items = "".join(f"<li><code>{escape(problem)}</code></li>" for problem in problems["first"])
            shown += f'<h3>{escape(source["name"])}: {number_text(problems["count"], 0)}</h3><ul class="samples">{items}</ul>'
    return shown or none("Every document could be read.")
