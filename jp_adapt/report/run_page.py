"""The run report: one self-contained HTML page from the summary of a run. A value that a run does not have is left out or shown as a dash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from jp_adapt.report.evolution_charts import evolution_drawings
from jp_adapt.report.pages import drawing
from jp_adapt.report.pages import render as render_page
from jp_adapt.report.run_charts import stage_charts
from jp_adapt.report.run_summary import BenchmarkResult, BenchmarkSide, Control, Figures, HeldOutText, RunSummary
from jp_adapt.report.svg import Mark, interval_bar
from jp_adapt.report.tables import control_hint, control_line
from jp_adapt.report.written import DASH, duration_text, number_text, range_text

SECTIONS = {
    "headline": "The result in three numbers",
    "tokenizers": "How the two tokenizers read the same sentence",
    "curves": "Training",
    "evolution": "Evolution of the merge",
    "scores": "Benchmarks",
    "texts": "Held-out texts",
    "samples": "Samples before and after",
    "added": "What was added to the tokenizer",
    "provenance": "Provenance",
}
# key of the headline, name, unit, the same in a sentence, digits, whether more is better, what is aimed at
_HEADLINE = (
    ("chars_per_token", "Japanese characters per token", "chars/token", "Japanese text went from {} to {} characters per token", 2, True, "higher is better"),
    ("bits_per_char_ja", "Held-out Japanese", "bits/char", "held-out Japanese from {} to {} bits per character", 2, False, "lower is better"),
    (
        "bits_per_byte_en",
        "English control: held-out English",
        "bits/byte",
        "held-out English from {} to {} bits per byte",
        3,
        False,
        "lower is better; it should not rise",
    ),
)


@dataclass(frozen=True)
class _TextColumn:
    key: str
    name: str
    digits: int


_TEXT_COLUMNS = (
    _TextColumn("tokens", "Tokens", 0),
    _TextColumn("chars_per_token", "Chars/token", 3),
    _TextColumn("tokens_per_word", "Tokens/word", 2),
    _TextColumn("bits_per_char", "Bits/char", 3),
    _TextColumn("bits_per_byte", "Bits/byte", 3),
)


def render(summary: RunSummary) -> str:
    """The whole page as HTML text."""
    drawn = {stage: {name: drawing(svg) for name, svg in drawings.items()} for stage, drawings in stage_charts(summary).items()}
    return render_page(
        "run.html.jinja",
        {anchor: heading for anchor, heading in SECTIONS.items() if anchor != "evolution" or summary.evolutions},
        title=summary.run.title or summary.run.name,
        version=summary.run.jp_adapt,
        summary=summary,
        sentence=_sentence(summary),
        run_facts=_run_facts(summary),
        cards=_cards(summary),
        control=control_line(summary, summary.control).removeprefix("control: ") if summary.control else "",
        control_hint=control_hint(summary),
        drawn={stage: [*drawings.values()] for stage, drawings in drawn.items()},
        glance=_glance(summary, drawn),
        trained_samples=_trained_samples(summary),
        evolved=[[drawing(svg) for svg in evolution_drawings(entry)] for entry in summary.evolutions],
        results=[_result(entry, summary.control) for entry in summary.evaluation.benchmarks],
        cut=_cut(summary),
        item_pages=_item_pages(summary),
        text_columns=_TEXT_COLUMNS,
        change=_change,
        scripts_added=_scripts(summary),
    )


def _figures(summary: RunSummary, key: str) -> Figures:
    figures: Figures = getattr(summary.headline, key)
    return figures


def _sentence(summary: RunSummary) -> str:
    """What was done and what came of it, from whatever of it is known."""
    added, stages = summary.tokenizer.new_tokens if summary.tokenizer else 0, len(summary.training)
    done = [f"was given {number_text(added, 0)} new Japanese tokens"] if added else []
    if stages:
        done.append(f"was trained in {stages} stage{'s' if stages > 1 else ''}")
    if summary.evolutions:  # parents were trained so, or come from elsewhere
        done = [f"became the best of {number_text(sum(entry.evaluations for entry in summary.evolutions), 0)} merges"]
    came = []
    for key, _, _, words, digits, *_ in _HEADLINE:
        figures = _figures(summary, key)
        if figures.base is not None and figures.adapted is not None:
            came.append(words.format(number_text(figures.base, digits), number_text(figures.adapted, digits)))
    base = summary.evaluation.models.get("base")
    opening = f"{base.name if base else 'The base model'} {' and '.join(done) or 'was evaluated'}"
    return f"{opening}: {', '.join(came)}." if came else f"{opening}."


def _run_facts(summary: RunSummary) -> list[tuple[str, str]]:
    """Name, date and size of the run and of its models."""
    run, models = summary.run, summary.evaluation.models
    created = run.created.replace("T", " ", 1).replace("+00:00", " UTC")
    facts = [("Run", run.name), ("Created", created), ("Seed", str(run.seed)), ("Time", duration_text(run.elapsed_s))]
    known = [models[role] for role in ("base", "adapted") if role in models]
    for name, sizes, unit, digits in (
        ("Vocabulary", [model.vocab_size for model in known], 1.0, 0),
        ("Parameters, millions", [model.parameters for model in known], 1e-6, 1),
    ):
        facts.append((name, " \u2192 ".join(number_text(size, digits, times=unit) for size in sizes if size is not None)))
    return facts


def _cards(summary: RunSummary) -> list[dict[str, Any]]:
    """The three numbers, each with its relative change in percent and whether that is for the better."""
    cards = []
    for key, name, unit, _, digits, more_is_better, aim in _HEADLINE:
        figures = _figures(summary, key)
        if figures.base is None and figures.adapted is None:
            continue
        percent = (figures.adapted / figures.base - 1) * 100 if figures.base and figures.adapted is not None else None
        better = percent is not None and (percent > 0) == more_is_better
        control = getattr(summary.control.headline, key).adapted if summary.control else None
        card = {"name": name, "unit": unit, "digits": digits, "aim": aim, "before": figures.base, "after": figures.adapted, "control": control}
        cards.append(card | {"percent": percent, "better": better})
    return cards


@dataclass(frozen=True)
class _Glance:
    """What stands beside the headline: the main curve of the last stage that has one, and one sample, as (who, text)."""

    figure: Markup | None
    prompt: str
    texts: list[tuple[str, str]]


def _glance(summary: RunSummary, drawn: dict[str, dict[str, Markup]]) -> _Glance | None:
    figure = next((figures[name] for figures in reversed(drawn.values()) for name in ("ja", "loss") if name in figures), None)
    prompt, texts = "", []
    if summary.evaluation.samples:
        sample = summary.evaluation.samples[0]
        prompt, texts = sample.prompt, [(name, text) for name, text in (("Base", sample.base), ("Adapted", sample.adapted)) if text is not None]
    elif trained := _trained_samples(summary):
        prompt, texts = trained[-1][1], [(f"Step {number_text(step, 0)}", text) for step, text in trained[-1][2]]
    return _Glance(figure, prompt, texts) if figure is not None or texts else None


def _trained_samples(summary: RunSummary) -> list[tuple[str, str, list[tuple[int, str]]]]:
    """(stage, prompt, [(step, text)]) of what the model wrote while it trained."""
    results: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for curve in summary.training:
        for sample in curve.samples:
            results.setdefault((curve.stage, sample.prompt), []).append((sample.step, sample.text))
    return [(stage, prompt, texts) for (stage, prompt), texts in results.items()]


@dataclass(frozen=True)
class _ResultRow:
    """A benchmark as the page shows it: the verdict of the comparison, figures as shares of a perfect score."""

    title: str
    name: str
    chance: float | None
    control: float | None
    items: int
    base: BenchmarkSide | None
    adapted: BenchmarkSide | None
    warnings: list[str]
    verdict: str
    against_chance: str
    bar: Markup
    difference: float | None
    interval: tuple[float, float] | None
    p: str
    detectable: float | None


def _result(one: BenchmarkResult, control: Control | None) -> _ResultRow:
    compared = one.comparison
    p = compared.p_holm if compared else None
    interval = compared.interval if compared else None

    def share(value: float | None) -> float | None:
        return value / one.perfect if value is not None else None

    return _ResultRow(
        title=one.title or one.id,
        name=one.name if one.title else "",
        chance=one.chance,
        control=control.score(one) if control is not None else None,
        items=one.items,
        base=one.base,
        adapted=one.adapted,
        warnings=one.warnings,
        verdict=compared.verdict if compared else "only one model was measured",
        against_chance=_against_chance(one),
        bar=_bar(one),
        difference=share(compared.difference) if compared else None,
        interval=(interval[0] / one.perfect, interval[1] / one.perfect) if interval else None,
        p="<0.001" if p is not None and p < 0.001 else number_text(p, 3),
        detectable=share(compared.minimal_detectable_difference) if compared else None,
    )


def _bar(one: BenchmarkResult) -> Markup:
    sides: Sequence[tuple[str, BenchmarkSide | None]] = (("Base", one.base), ("Adapted", one.adapted))
    marks = [
        Mark(name, side.value, *(side.interval or (side.value, side.value)), colour=colour)
        for colour, (name, side) in enumerate(sides)
        if side is not None and side.value is not None
    ]
    metric = one.metric.replace("_", " ").capitalize() or "Score"
    return drawing(interval_bar(marks, chance=one.chance, title=f"{metric} on {one.title or one.id}")) if marks else Markup("")


def _against_chance(one: BenchmarkResult) -> str:
    """Names the models whose interval holds the chance level: a score that guessing would give as well."""
    sides = {"base": one.base, "adapted": one.adapted}
    guessing = [
        role for role, side in sides.items() if side and side.interval and one.chance is not None and side.interval[0] <= one.chance <= side.interval[1]
    ]
    who = "Neither model's score can" if len(guessing) == 2 else f"The {guessing[0]} model's score cannot" if guessing else ""
    return f"{who} be told from chance ({number_text(one.chance, 0, times=100)} %)." if who else ""


def _item_pages(summary: RunSummary) -> list[tuple[str, str]]:
    """(name, link) of the pages that the evaluate stages wrote, relative to the report's folder."""
    pages = [(stage.id, page) for stage in summary.provenance.stages if stage.kind == "evaluate" for page in stage.pages]
    pages.sort(key=lambda named: named[1].endswith("/adapted/index.html"))
    return [(f"{stage}, {page.split('/')[-2]}", f"../{page}") for stage, page in pages]


def _cut(summary: RunSummary) -> set[str]:
    """The training stages that measured only the beginning of a held-out text, as far as the length of the texts is known."""
    chars = {text.id: text.chars for text in summary.evaluation.texts}
    return {
        curve.stage
        for curve in summary.training
        for text in (curve.heldout_ja, curve.heldout_en)
        if curve.heldout and text is not None and curve.heldout_chars is not None and curve.heldout_chars < chars.get(text, curve.heldout_chars + 1)
    }


def _change(text: HeldOutText, key: str) -> tuple[str, str]:
    """The relative change of a figure; of bits per character also the difference with its interval."""
    before, after = (getattr(side, key) if side else None for side in (text.base, text.adapted))
    relative = f"{number_text(after / before - 1, 1, times=100, sign=True)} %" if before and after is not None else DASH
    if key != "bits_per_char" or text.difference is None:
        return relative, ""
    interval = range_text(text.difference.interval, 3, sign=True)
    return relative, f"{number_text(text.difference.bits_per_char, 3, sign=True)} ({interval})"


def _scripts(summary: RunSummary) -> list[tuple[str, int, float, float]]:
    """(script, tokens, share of all new tokens, share of the most frequent script's), the most frequent first."""
    counts = sorted(((count, name) for name, count in summary.tokenizer.by_script.items()), reverse=True) if summary.tokenizer else []
    total = sum(count for count, _ in counts)
    return [(name, count, count / total, count / counts[0][0]) for count, name in counts if count]
