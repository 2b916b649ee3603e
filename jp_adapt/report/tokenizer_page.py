"""The pages of the tokenizer commands: what an extension added, whether it keeps its promises, and how tokenizers compare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from jp_adapt.report.pages import drawing, render
from jp_adapt.report.svg import Bar, bar_chart
from jp_adapt.report.token_parts import CRITERIA, script_name
from jp_adapt.report.tokenizer_report import ComparisonReport, ExtensionReport, MeasureFigures, TokenizerFacts, UseCount, VerificationReport
from jp_adapt.report.written import finite, number_text
from jp_adapt.tokenizer.verify import NOTES, Criterion

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


Rows = Sequence[tuple[str, MeasureFigures]]


def extension_page(report: ExtensionReport) -> str:
    """The page of `tokenizer extend`: what was added, how text is cut now, and every criterion."""
    extension = report.extension
    named = [
        *_identity("Base", report.base),
        ("SHA-256 of the base", report.base.sha256),
        ("New tokens", number_text(extension.new_tokens, 0)),
        ("Besides, bytes that the base lacked", number_text(extension.added_bytes, 0)),
        ("Extended vocabulary", number_text(extension.vocab_size, 0)),
        ("Padded vocabulary", number_text(extension.padded_vocab_size, 0)),
        ("Boundaries", _BOUNDARIES.get(extension.boundaries, extension.boundaries)),
        ("Longest new token, characters", number_text(extension.max_token_chars, 0)),
        ("Least uses of a new token", number_text(extension.min_count, 0)),
        ("Normalisation", extension.normalisation),
    ]
    bars = [(entry.source, [Bar("Base", entry.base.chars_per_token), Bar("Extended", entry.extended.chars_per_token, 1)]) for entry in report.measures]
    return _page(
        "tokenizer_extension.html.jinja",
        {
            "compression": "Characters per token, before and after",
            "criteria": "Criteria",
            "samples": "The same sentences in both tokenizers",
            "pieces": "What was added",
            "corpus": "Corpus that the new tokens were learned from",
        },
        "Tokenizer extension",
        report=report,
        named=named,
        gained=report.measures if len(report.measures) <= _MAX_TOLD else [],
        drawn=_plot(bars),
        change=_change,
        by_script=[(script_name(entry.script), entry.tokens, entry.uses) for entry in report.by_script],
        by_length=[(number_text(entry.chars, 0), entry.tokens, entry.uses) for entry in report.by_length],
        by_use=_use_rows(report.by_use),
        **_checked(report.criteria),
    )


def verification_page(report: VerificationReport) -> str:
    """The page of `tokenizer verify`: whether the extended tokenizer keeps what the base promised."""
    return _page(
        "tokenizer_verification.html.jinja",
        {"criteria": "Criteria", "texts": "Texts that were read"},
        "Tokenizer verification",
        report=report,
        named=[*_identity("Base", report.base), *_identity("Extended", report.extended)],
        **_checked(report.criteria),
    )


def comparison_page(report: ComparisonReport) -> str:
    """The page of `tokenizer compare`: a plot of chars/token, and a table of every measure for each source."""
    colours = {entry.name: index for index, entry in enumerate(report.tokenizers)}
    by_source = [(source, [(row.tokenizer, row.measure) for row in report.rows if row.source == source]) for source in report.sources]
    bars = [(source, [Bar(name, measure.chars_per_token, colours.get(name, 0)) for name, measure in rows]) for source, rows in by_source]
    return _page(
        "tokenizer_comparison.html.jinja",
        {"plot": "Characters per token", "measures": "All measures", "tokenizers": "Tokenizers"},
        "Tokenizer comparison",
        report=report,
        named=[],
        by_source=by_source,
        drawn=_plot(bars),
    )


def _page(template: str, sections: dict[str, str], title: str, **values: Any) -> str:
    return render(template, sections, title=title, version="", lead="", columns=_MEASURES, sizes=_sizes, written=_written, **values)


def _identity(side: str, tokenizer: TokenizerFacts) -> list[tuple[str, str]]:
    """Which tokenizer it is, as facts."""
    return [(side, tokenizer.name), (f"{side} family", tokenizer.family), (f"{side} vocabulary", number_text(tokenizer.vocab_size, 0))]


def _checked(criteria: Sequence[Criterion]) -> dict[str, Any]:
    """What the page says of the criteria: those that do not hold, how many had nothing to look at, and what each means."""
    broken = [entry for entry in criteria if entry.failures and entry.name not in NOTES]
    return {"broken": broken, "empty": sum(not entry.checked for entry in criteria), "meanings": CRITERIA, "notes": NOTES}


def _plot(bars: Sequence[tuple[str, Sequence[Bar]]]) -> str:
    return drawing(bar_chart(bars, title="Characters per token", unit="chars/token"))


def _sizes(rows: Rows) -> str:
    """How much text was measured; the texts are the same for all tokenizers, so that each count is one number."""
    counts = [(dict.fromkeys(number_text(getattr(measure, key), 0) for _, measure in rows), name) for key, name in _SIZES]
    return ", ".join(f"{' or '.join(numbers)} {name}" for numbers, name in counts)


def _written(column: _Measure, measure: MeasureFigures) -> str:
    value = getattr(measure, column.key)
    text = number_text(value, column.digits, times=100 if column.share else 1)
    return f"{text} %" if column.share and finite(value) is not None else text


def _change(column: _Measure, before: MeasureFigures, after: MeasureFigures) -> str:
    """The relative change in percent; of a share, which is a percentage already, the difference in points."""
    old, new = finite(getattr(before, column.key)), finite(getattr(after, column.key))
    if old is None or new is None:
        return number_text(None, 0)
    if column.share:
        return f"{number_text(new - old, column.digits, times=100, sign=True)} points"
    return f"{number_text(new / old - 1, 1, times=100, sign=True)} %" if old else number_text(None, 0)


def _use_rows(counts: Sequence[UseCount]) -> list[tuple[str, int, None]]:
    ordered = sorted(counts, key=lambda entry: entry.at_least)
    ends = [*(entry.at_least for entry in ordered), None][1:]
    return [(_use_range(entry.at_least, end), entry.tokens, None) for entry, end in zip(ordered, ends, strict=True)]


def _use_range(low: int, after: int | None) -> str:
    """At least `low` times and less than `after`, in words."""
    if after is None:
        return f"{number_text(low, 0)} times or more"
    return f"{number_text(low, 0)} {'time' if low == 1 else 'times'}" if after - low <= 1 else f"{number_text(low, 0)} to {number_text(after - 1, 0)} times"
