"""The curves of a run as SVG texts, for the page and as files of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jp_adapt.report.run_data import at, mappings
from jp_adapt.report.svg import line_chart, series_of
from jp_adapt.report.written import finite, plain

GUARD_SPAN = 0.2  # the English guard hardly moves: an axis of at least a fifth of its level keeps noise from looking like a slope


def charts(summary: Mapping[str, Any]) -> dict[str, str]:
    """ "STAGE-ja" (training loss and held-out Japanese over tokens seen) and "STAGE-en" (the guard) -> SVG, where the stage recorded them."""
    drawn = {}
    for stage in mappings(summary, "training"):
        steps, heldout, name = mappings(stage, "steps"), mappings(stage, "heldout"), plain(stage.get("stage")) or "stage"
        loss = series_of(steps, "tokens", "loss_bits_per_char", "Training loss", 2)
        japanese = series_of(heldout, "tokens", "bits_per_char_ja", "Held-out Japanese", 1)
        english = series_of(heldout, "tokens", "bits_per_byte_en", "Held-out English", 3)
        for language, lines, key, title, unit in (
            ("ja", [loss, japanese], "bits_per_char_ja", "Japanese", "character"),
            ("en", [english], "bits_per_byte_en", "English guard", "byte"),
        ):
            level, firsts = finite(at(summary, "headline", key, "base")), [line.ys[0] for line in lines if line.ys]
            if firsts:
                span = abs(level or firsts[0]) * GUARD_SPAN if language == "en" else 0.0
                told = {"title": f"{name}: {title}", "x_label": "tokens seen", "y_label": f"bits per {unit}"}
                drawn[f"{name}-{language}"] = line_chart(lines, level=level, y_min_span=span, **told)
    return drawn
