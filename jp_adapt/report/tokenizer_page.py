"""The pages of the tokenizer commands: what an extension added, whether it keeps its promises, and how tokenizers compare.

Each function turns a finished report into one self-contained HTML page. Nothing is fetched, and every text of the report goes through
`escape`. All keys of a report are present; a number that there is none of (None, NaN) becomes a dash.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jp_adapt.report.html_parts import cell, fact_list, lang, none, page, short_hash, table
from jp_adapt.report.svg import Bar, bar_chart
from jp_adapt.report.token_parts import CRITERIA, SCRIPT_NAMES, chip, criterion_name
from jp_adapt.report.written import escape, finite, number_text, value_text
from jp_adapt.tokenizer.verify import NOTES

Row = Mapping[str, Any]

_CSS = """.plot { max-width: 36rem; margin-bottom: 1rem; }
.plot figure { max-width: none; }
.tables { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 19rem), 1fr)); gap: 0 2.5rem; }
.tables .share { width: calc(var(--share) * 3rem); }
.tables td:has(.share) { min-width: 3.6rem; }
.tables :is(th, td):not(:last-child) { padding-right: .6rem; }
.meanings { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.2rem; margin: .5rem 0 1rem; font-size: .9rem; max-width: 56rem; }
.meanings dt { font-weight: 600; }
.meanings dd { margin: 0; color: var(--muted); }
.pieces { list-style: none; margin: 0; padding: 0; display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 15rem), 1fr)); gap: 0 1.5rem; }
.pieces > li { border-bottom: 1px solid var(--rule); padding: .4rem 0; break-inside: avoid; min-width: 0; }
.pieces .chips { display: inline-flex; vertical-align: middle; }
.pieces small { display: block; color: var(--muted); font-variant-numeric: tabular-nums; }
.examples { margin: 0 0 1rem; padding-left: 1.2rem; max-width: 60rem; }
.examples code { white-space: pre-wrap; }
.criteria td:has(> .good, > .bad) { white-space: nowrap; }
.criteria th small { max-width: 32rem; }
"""
_RUNTIMES = {"all": "all runtimes", "tokenizers": "Hugging Face tokenizers", "sentencepiece": "SentencePiece", "tiktoken": "tiktoken"}
_MAX_TOLD = 4  # sources that the opening sentence can name and still be read
_BOUNDARIES = {"none": "none: tokens may span words", "phrase": "phrase: no token spans two phrases", "word": "word: no token spans two words"}
_SIZES = (("documents", "documents"), ("chars", "characters"), ("bytes", "bytes"), ("words", "words"))


class _Measure(NamedTuple):
    """A column of the tables of measures: how its number is written and what it means."""

    key: str
    name: str
    digits: int
    share: bool
    meaning: str


_MEASURES = (
    _Measure("tokens", "Tokens", 0, False, "Tokens that the whole text takes; fewer is cheaper."),
    _Measure("chars_per_token", "Chars/token", 3, False, "Characters that a token covers on average; more means shorter inputs and faster answers."),
    _Measure("bytes_per_token", "Bytes/token", 3, False, "UTF-8 bytes that a token covers on average; most Japanese characters are three bytes."),
    _Measure("tokens_per_word", "Tokens/word", 3, False, "Tokens that a dictionary word takes on average; fewer is better."),
    _Measure(
        "byte_fallback_share", "Byte fallback", 2, True, "Share of the tokens that are a single byte of a character with no token of its own; less is better."
    ),
    _Measure("broken_share", "Broken", 2, True, "Share of the tokens that begin or end inside a character; less is better."),
    _Measure(
        "renyi_efficiency",
        "R\u00e9nyi",
        3,
        False,
        "R\u00e9nyi efficiency: how evenly the text uses the vocabulary, 1 for perfectly even; reported, not a goal.",
    ),
    _Measure("vocabulary_use", "Vocabulary used", 2, True, "Share of the whole vocabulary that occurs in the text at least once."),
)


def extension_page(report: Mapping[str, Any]) -> str:
    """The page of `tokenizer extend`: what was added, how text is cut now, and every criterion."""
    base, extension = report["base"], report["extension"]
    added = number_text(extension["new_tokens"], 0)
    came = [f"{escape(one['source'])} from {_ratio(one['base'])} to {_ratio(one['extended'])}" for one in report["measures"]]
    gained = f" Characters per token: {', '.join(came)}." if 0 < len(came) <= _MAX_TOLD else ""
    facts = [
        *_identity("Base", base),
        ("SHA-256 of the base", short_hash(base["sha256"])),
        ("New tokens", added),
        ("Of them, bytes that the base lacked", number_text(extension["added_bytes"], 0)),
        ("Extended vocabulary", number_text(extension["vocab_size"], 0)),
        ("Padded vocabulary", number_text(extension["padded_vocab_size"], 0)),
        ("Boundaries", escape(_BOUNDARIES.get(extension["boundaries"], extension["boundaries"]))),
        ("Longest new token, characters", number_text(extension["max_token_chars"], 0)),
        ("Least uses of a new token", number_text(extension["min_count"], 0)),
        ("Normalisation", escape(extension["normalisation"])),
    ]
    bars = [
        (str(one["source"]), [Bar("Base", one["base"]["chars_per_token"]), Bar("Extended", one["extended"]["chars_per_token"], 1)])
        for one in report["measures"]
    ]
    tables = [_measures(one["source"], [("Base", one["base"]), ("Extended", one["extended"])], change=True) for one in report["measures"]]
    sections = [
        ("compression", "Characters per token, before and after", _plot(bars) + "".join(tables) + _meanings() if tables else none("No text was measured.")),
        ("criteria", "Criteria", _criteria(report["criteria"])),
        ("samples", "The same sentences in both tokenizers", _samples(report["samples"])),
        ("pieces", "What was added", _added(report)),
        ("corpus", "Corpus that the new tokens were learned from", _corpus(report["corpus"])),
    ]
    lead = f"The {escape(base['family'])} tokenizer was given {added} new tokens.{gained} {_verdict(report['criteria'])}"
    return page("Tokenizer extension", lead, fact_list(facts), sections, css=_CSS)


def verification_page(report: Mapping[str, Any]) -> str:
    """The page of `tokenizer verify`: whether the extended tokenizer keeps what the base promised."""
    texts = "".join(f"<li><code>{escape(text)}</code></li>" for text in report["texts"])
    read = f'<ul class="examples">{texts}</ul>' if texts else none("No text was given; only built-in strings and the vocabularies were checked.")
    sections = [("criteria", "Criteria", _criteria(report["criteria"])), ("texts", "Texts that were read", read)]
    facts = [*_identity("Base", report["base"]), *_identity("Extended", report["extended"])]
    answer = '<span class="good">\u2713 The extension holds.</span>' if report["holds"] else '<span class="bad">\u2717 The extension does not hold.</span>'
    return page("Tokenizer verification", f"{answer} {_verdict(report['criteria'])}", fact_list(facts), sections, css=_CSS)


def comparison_page(comparison: Mapping[str, Any]) -> str:
    """The page of `tokenizer compare`: a plot of chars/token, and a table of every measure for each source."""
    tokenizers, sources = comparison["tokenizers"], comparison["sources"]
    colours = {one["name"]: index for index, one in enumerate(tokenizers)}
    bars, tables = [], []
    for source in sources:
        rows = [(str(row["tokenizer"]), row["measure"]) for row in comparison["rows"] if row["source"] == source]
        bars.append((str(source), [Bar(name, measure["chars_per_token"], colours.get(name, 0)) for name, measure in rows]))
        tables.append(_measures(source, rows, change=False))
    listed = ""
    for one in tokenizers:
        words = f'<th scope="row">{escape(one["name"])}</th><td>{escape(one["family"])}</td><td><code>{escape(one["path"])}</code></td>'
        listed += f"<tr>{words}{cell(number_text(one['vocab_size'], 0))}</tr>"
    sections = [
        ("plot", "Characters per token", _plot(bars) if bars else none("No text was measured.")),
        ("measures", "All measures", "".join(tables) + _meanings() if tables else none("No text was measured.")),
        ("tokenizers", "Tokenizers", table("In the order they were given", ["Name", "Family", "Path", "Vocabulary"], listed, 3)),
    ]
    lead = f"{_count(len(tokenizers), 'tokenizer')} on {_count(len(sources), 'text source')}. More characters per token: the same text takes fewer tokens."
    return page("Tokenizer comparison", lead, "", sections, css=_CSS)


def _identity(side: str, tokenizer: Row) -> list[tuple[str, str]]:
    """Which tokenizer it is, as facts."""
    path, size = f"<code>{escape(tokenizer['path'])}</code>", number_text(tokenizer["vocab_size"], 0)
    return [(side, path), (f"{side} family", escape(tokenizer["family"])), (f"{side} vocabulary", size)]


def _verdict(criteria: Sequence[Row]) -> str:
    """In one sentence, whether every criterion is 0, and which are not."""
    broken = [
        f"{escape(_decapitalised(criterion_name(one['name'])))} ({_runtime(one['runtime'])}): {number_text(one['failures'], 0)}"
        for one in criteria
        if one["failures"] and one["name"] not in NOTES
    ]
    if broken:
        return f'<span class="bad">{len(broken)} of {_count(len(criteria), "check")} failed:</span> {"; ".join(broken)}.'
    if not criteria:
        return "No criterion was checked."
    empty = sum(not one["checked"] for one in criteria)
    if empty:
        return f"{len(criteria) - empty} of {_count(len(criteria), 'check')} passed, {number_text(empty, 0)} had nothing to look at."
    return f'<span class="good">All {_count(len(criteria), "check")} passed.</span>'


def _criteria(criteria: Sequence[Row]) -> str:
    """A row group for each criterion with a row for each runtime, and below it the examples of what failed."""
    if not criteria:
        return none("No criterion was checked.")
    groups: dict[str, list[Row]] = {}
    for one in criteria:
        groups.setdefault(str(one["name"]), []).append(one)
    bodies = examples = ""
    for name, rows in groups.items():
        meaning = CRITERIA[name][1] if name in CRITERIA else ""
        small = f"<small>{meaning}</small>" if meaning else ""
        head = f'<th scope="rowgroup" rowspan="{len(rows)}">{escape(criterion_name(name))}{small}</th>'
        lines = ""
        for index, one in enumerate(rows):
            cells = f"<td>{_runtime(one['runtime'])}</td><td>{_result(one)}</td>{cell(number_text(one['failures'], 0))}{cell(number_text(one['checked'], 0))}"
            lines += f"<tr{'' if index == len(rows) - 1 else ' class=quiet'}>{head if index == 0 else ''}{cells}</tr>"
            if one["examples"]:
                shown = "".join(f"<li><code{lang(str(text))}>{_visible(text)}</code></li>" for text in one["examples"])
                more = "the first examples" if len(one["examples"]) < one["failures"] else "every failure"
                examples += f'<h3>{escape(criterion_name(name))}, {_runtime(one["runtime"])}: {more}</h3><ul class="examples">{shown}</ul>'
        bodies += f"<tbody>{lines}</tbody>"
    shown_table = table("Each number of failures must be 0", ["Criterion", "Runtime", "Result", "Failures", "Checked"], bodies, 3)
    return f'<div class="criteria">{shown_table}</div>{examples}'


def _result(one: Row) -> str:
    if one["failures"] and one["name"] in NOTES:
        return "to know"
    if one["failures"]:
        return '<span class="bad">\u2717 fail</span>'
    return '<span class="good">\u2713 pass</span>' if one["checked"] else "nothing to check"


def _decapitalised(text: str) -> str:
    return text[:1].lower() + text[1:]


def _runtime(name: object) -> str:
    return escape(_RUNTIMES.get(str(name), str(name)))


def _visible(text: object) -> str:
    """A text on one line, its line ends and tabs made visible: it stands for a string, not for a paragraph."""
    return escape(text).replace("\n", "\u21b5").replace("\t", "\u21e5")


def _plot(bars: Sequence[tuple[str, Sequence[Bar]]]) -> str:
    return f'<div class="plot"><figure>{bar_chart(bars, title="Characters per token", unit="chars/token")}</figure></div>'


def _measures(source: object, rows: Sequence[tuple[str, Row]], *, change: bool) -> str:
    """Every measure of one text source, a row for each tokenizer, and with `change` one for the step from the first to the last."""
    sizes = []
    for key, name in _SIZES:
        counts = dict.fromkeys(number_text(measure[key], 0) for _, measure in rows)  # the texts are the same, so there is one count
        sizes.append(f"{' or '.join(counts)} {name}")
    lines = ""
    for index, (name, measure) in enumerate(rows):
        cells = "".join(cell(_written(column, measure[column.key])) for column in _MEASURES)
        quiet = " class=quiet" if change and index < len(rows) - 1 else ""
        lines += f'<tr{quiet}><th scope="row">{escape(name)}</th>{cells}</tr>'
    if change and len(rows) > 1:
        lines += f'<tr><th scope="row">Change</th>{"".join(cell(_change(column, rows[0][1], rows[-1][1])) for column in _MEASURES)}</tr>'
    columns = ["Tokenizer", *(column.name for column in _MEASURES)]
    return f"<h3{lang(str(source))}>{escape(source)}</h3>{table(', '.join(sizes), columns, lines)}" if rows else ""


def _written(column: _Measure, value: Any) -> str:
    text = number_text(value, column.digits, times=100 if column.share else 1)
    return f"{text} %" if column.share and finite(value) is not None else text


def _change(column: _Measure, before: Row, after: Row) -> str:
    """The relative change in percent; of a share, which is a percentage already, the difference in points."""
    old, new = finite(before[column.key]), finite(after[column.key])
    if old is None or new is None:
        return number_text(None, 0)
    if column.share:
        return f"{number_text(new - old, column.digits, times=100, sign=True)} points"
    return f"{number_text(new / old - 1, 1, times=100, sign=True)} %" if old else number_text(None, 0)


def _meanings() -> str:
    rows = "".join(f"<dt>{column.name}</dt><dd>{column.meaning}</dd>" for column in _MEASURES)
    return f'<h3>What the measures mean</h3><dl class="meanings">{rows}</dl>'


def _samples(samples: Sequence[Row]) -> str:
    """Each sentence as the tokens of the base and of the extension, side by side."""
    if not samples:
        return none("No sentence was segmented.")
    parts = [
        '<p class="key"><span><span class="chip">token</span> token of the base</span><span><span class="chip new">token</span> new token</span>'
        '<span><span class="chip hex"><code>E6 97</code></span> bytes that are no whole character</span></p>'
    ]
    for one in samples:
        text, sides = str(one["text"]), ""
        for side, name in (("base", "Base"), ("extended", "Extended")):
            tokens = one[side]
            ratio = f", {number_text(len(text) / len(tokens), 2)} chars/token" if tokens else ""
            sides += f'<div><h4>{name}: {_count(len(tokens), "token")}{ratio}</h4><ol class="chips" lang="ja">{"".join(map(chip, tokens))}</ol></div>'
        parts.append(f'<p class="sentence"{lang(text)}>{escape(text)}</p><div class="pair">{sides}</div>')
    return "\n".join(parts)


def _added(report: Mapping[str, Any]) -> str:
    """The new tokens by script, by length and by number of uses, and the most used of them."""
    by_use = sorted(report["by_use"], key=lambda one: one["at_least"])
    ends = [*(one["at_least"] for one in by_use), None][1:]
    ranges = [(_use_range(one["at_least"], end), one["tokens"], None) for one, end in zip(by_use, ends, strict=True)]
    tables = [
        _histogram("New tokens by script", "Script", [(_script(one["script"]), one["tokens"], one["uses"]) for one in report["by_script"]]),
        _histogram("New tokens by length", "Characters", [(number_text(one["chars"], 0), one["tokens"], one["uses"]) for one in report["by_length"]]),
        _histogram("New tokens by number of uses", "Used in the corpus", ranges),
    ]
    items = ""
    for one in report["most_used"]:
        spelled = "".join(chip({"text": text}) for text in one["sources"])
        before = f' from <ol class="chips" lang="ja">{spelled}</ol>' if spelled else ""
        told = f"<small>{number_text(one['count'], 0)} {'use' if one['count'] == 1 else 'uses'}, id {escape(one['id'])}</small>"
        items += f'<li><ol class="chips" lang="ja">{chip({"text": one["token"], "new": True})}</ol>{before}{told}</li>'
    most = f'<h3>Most used new tokens, and the base tokens that spelled them</h3><ol class="pieces">{items}</ol>' if items else ""
    note = '<p class="note">Uses: how often the new tokens occur in the corpus.</p>'
    return f'<div class="tables">{"".join(tables)}</div>{note}{most}' if any(tables) or items else none("Nothing was added.")


def _histogram(caption: str, head: str, rows: Sequence[tuple[str, Any, Any]]) -> str:
    """Rows of (label, tokens, uses) with a bar for the tokens; the column of uses only where there are any."""
    counts = [finite(tokens) or 0.0 for _, tokens, _ in rows]
    total, largest = sum(counts), max(counts, default=0.0)
    lines = ""
    for (label, tokens, uses), count in zip(rows, counts, strict=True):
        bar = f'<td><span class="share" style="--share:{count / largest if largest else 0:.3f}"></span></td>'
        cells = cell(number_text(tokens, 0), f"{number_text(count / total, 1, times=100)} %" if total else "")
        lines += f'<tr><th scope="row">{label}</th>{bar}{cells}{cell(number_text(uses, 0)) if uses is not None else ""}</tr>'
    columns = [head, "Share", "Tokens"] + (["Uses"] if any(uses is not None for _, _, uses in rows) else [])
    return f"<div>{table(caption, columns, lines, 2)}</div>" if rows else ""


def _script(name: object) -> str:
    return escape(SCRIPT_NAMES.get(str(name), str(name).replace("_", " ")))


def _use_range(low: Any, after: Any) -> str:
    """At least `low` times and less than `after`, in words."""
    if after is None:
        return f"{number_text(low, 0)} times or more"
    return f"{number_text(low, 0)} {'time' if low == 1 else 'times'}" if after - low <= 1 else f"{number_text(low, 0)} to {number_text(after - 1, 0)} times"


def _corpus(corpus: Sequence[Row]) -> str:
    if not corpus:
        return none("No corpus was read.")
    lines = ""
    for one in corpus:
        numbers = "".join(cell(number_text(one[key], 0)) for key in ("documents", "chars", "repeated_lines"))
        weight = finite(one["weight"])
        lines += f'<tr><th scope="row">{escape(one["source"])}</th>{numbers}{cell(number_text(None, 0) if weight is None else value_text(weight))}</tr>'
    caption = "Weight: how much a use in this source counts; repeated lines: those that had occurred before"
    return table(caption, ["Source", "Documents", "Characters", "Repeated lines", "Weight"], lines)


def _ratio(measure: Row) -> str:
    return number_text(measure["chars_per_token"], 2)


def _count(number: int, noun: str) -> str:
    return f"{number_text(number, 0)} {noun}{'' if number == 1 else 's'}"
