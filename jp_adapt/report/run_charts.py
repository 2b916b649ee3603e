"""The curves of a run as SVG texts, for the page and as files of their own."""

from __future__ import annotations

from jp_adapt.report.run_summary import RunSummary, TrainingCurve
from jp_adapt.report.svg import Series, line_chart

ENGLISH_SPAN = 0.2  # the English control hardly moves: an axis of at least a fifth of its level keeps noise from looking like a slope


def charts(summary: RunSummary) -> dict[str, str]:
    """ "STAGE-ja" (training loss and held-out Japanese over tokens seen) and "STAGE-en" (the English control) -> SVG, where the stage recorded them."""
    return {f"{stage}-{language}": svg for stage, drawn in stage_charts(summary).items() for language, svg in drawn.items()}


def stage_charts(summary: RunSummary) -> dict[str, dict[str, str]]:
    """Stage -> language -> SVG."""
    return {curve.stage: _charts(curve, summary) for curve in summary.training}


def _charts(curve: TrainingCurve, summary: RunSummary) -> dict[str, str]:
    bits = any(step.loss_bits_per_char is not None for step in curve.steps)
    loss = _series("Training loss", [(step.tokens, step.loss_bits_per_char if bits else step.loss_nats_per_token) for step in curve.steps], 2)
    japanese = _series("Held-out Japanese", [(entry.tokens, entry.bits_per_char_ja) for entry in curve.heldout], 1)
    english = _series("Held-out English", [(entry.tokens, entry.bits_per_byte_en) for entry in curve.heldout], 3)
    drawn = {}
    if bits or not loss.ys:
        if loss.ys or japanese.ys:
            drawn["ja"] = _chart(curve, [loss, japanese], "Japanese", "bits per character", level=_level(curve, summary, "ja"))
    else:  # before a stage is finished the characters of its tokens are not counted
        drawn["loss"] = _chart(curve, [loss], "training loss", "nats per token")
        if japanese.ys:
            drawn["ja"] = _chart(curve, [japanese], "Japanese", "bits per character", level=_level(curve, summary, "ja"))
    if english.ys:
        level = _level(curve, summary, "en")
        drawn["en"] = _chart(curve, [english], "English control", "bits per byte", level=level, span=abs(level or english.ys[0]) * ENGLISH_SPAN)
    return drawn


def _series(name: str, points: list[tuple[int, float | None]], colour: int) -> Series:
    known = [(float(x), y) for x, y in points if y is not None]
    return Series(name, [x for x, _ in known], [y for _, y in known], colour)


def _level(curve: TrainingCurve, summary: RunSummary, language: str) -> float | None:
    """The base model's own figure, where the curve is measured on all of the text that the figure is of."""
    source = curve.heldout_ja if language == "ja" else curve.heldout_en
    text = next((entry for entry in summary.evaluation.texts if entry.id == source), None)
    if text is None or text.base is None or curve.heldout_chars is None or curve.heldout_chars < text.chars:
        return None
    return text.base.bits_per_char if language == "ja" else text.base.bits_per_byte


def _chart(curve: TrainingCurve, lines: list[Series], title: str, unit: str, *, level: float | None = None, span: float = 0.0) -> str:
    return line_chart(lines, level=level, y_min_span=span, title=f"{curve.stage}: {title}", x_label="tokens seen", y_label=unit)
