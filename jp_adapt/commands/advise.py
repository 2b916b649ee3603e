"""`advise`: does an extension pay, and how large should it be? What is measured, and a rule whose evidence is in docs/log.md."""

from __future__ import annotations

from collections.abc import Iterator

from jp_adapt.commands.tokenizer_sizes import SizeRow, SizesReport

SIZES = (500, 1_000, 2_000, 4_000, 8_000, 16_000)
JAPANESE_ENOUGH = 1.5  # characters per token of the base, from which on there is little to gain
MOST_RARE = 0.1  # of the new tokens: share that may stand rarely in the budget
LEAST_GAIN = 1.03  # characters per token over the next smaller extension
BEHIND_CHARS = 1_600_000  # characters read, after which an extended SmolLM2-135M was still behind at equal time (docs/log.md, 2026-11-26)
EVEN_CHARS = 6_000_000  # where the two were estimated to meet: an extrapolation, said as such


def recommended(report: SizesReport) -> SizeRow | None:
    """The largest extension with few rare tokens in the budget and a gain over the one before; None where there is none, or the base needs none."""
    chosen = None
    if report.base_chars_per_token >= JAPANESE_ENOUGH:
        return None
    gain = report.base_chars_per_token
    for row in report.rows:
        if (row.rare_in_budget or 0) > MOST_RARE * row.new_tokens or row.chars_per_token < LEAST_GAIN * gain:
            break
        chosen, gain = row, row.chars_per_token
    return chosen


def advice(report: SizesReport) -> Iterator[str]:
    """The recommendation in words, a sentence or two at a time."""
    base, budget = report.base_chars_per_token, report.budget_tokens or 0
    if base >= JAPANESE_ENOUGH:
        yield f"Do not extend: the base reads {base:.2f} characters per token already."
        return
    row = recommended(report)
    if row is None:
        yield f"Do not extend: {budget:,} tokens of training hold too few of even the {report.rows[0].new_tokens:,} best new tokens."
        return
    gain = row.chars_per_token / base
    yield f"{row.new_tokens:,} new tokens: {base:.2f} -> {row.chars_per_token:.2f} characters per token, so a text takes {1 - 1 / gain:.0%} fewer tokens."
    if row == report.rows[-1]:
        yield "This is the largest number that was measured; try larger ones with --sizes."
    chars = budget * row.chars_per_token
    if chars < BEHIND_CHARS:
        yield f"But {chars:,.0f} characters of training are few: at equal time the base's own tokenizer will predict Japanese better. Extend for speed alone."
    elif chars < EVEN_CHARS:
        yield f"{chars:,.0f} characters of training may not be enough to predict Japanese better than the base's own tokenizer at equal time: measure both."
    else:
        yield "After such a training the extension may be ahead in quality too; this was not measured here at such a length, so measure both."
    yield "Evidence: SmolLM2-135M on a CPU (docs/log.md, 2026-11-26, quality at equal time). Other models and sizes were not measured."
