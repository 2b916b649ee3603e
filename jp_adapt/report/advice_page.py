"""The page of `advise`: the recommendation, a table of sizes, and plots of what each gains and costs."""

from __future__ import annotations

from jp_adapt.report.advice import AdviceReport, AdviceRow
from jp_adapt.report.pages import drawing, render
from jp_adapt.report.svg import Series, line_chart
from jp_adapt.report.written import DASH, number_text

SECTIONS = {"advice": "The advice", "sizes": "Sizes", "plots": "What each size gains", "evidence": "Where this comes from"}


def advice_page(report: AdviceReport) -> str:
    """The whole page as HTML text."""
    return render(
        "advice.html.jinja",
        SECTIONS,
        title="Does an extension pay?",
        version="",
        report=report,
        columns=[name for name, _ in advice_columns(report)],
        lines=[(row.new_tokens == report.recommended, cells(report, row)) for row in report.rows],
        drawn=[drawing(svg) for svg in _plots(report)],
    )


def advice_columns(report: AdviceReport) -> list[tuple[str, str]]:
    """(heading, field of a row) of the columns that have a figure, for the page and the terminal."""
    bits = "bits/char after, expected" if report.base_bits is not None else "bits/char after, of before"
    every = [
        ("new tokens", "new_tokens"),
        ("chars/token", "chars_per_token"),
        (f"rare (below {report.rare_below})", "rare_in_training"),
        ("chars read", "training_chars"),
        ("training device-h", "training_hours"),
        (f"training {report.currency}", "training_cost"),
        ("serving device-h/day", "serving_hours"),
        (f"serving {report.currency}/day", "serving_cost"),
        ("pays after days", "pays_after_days"),
        (bits, "bits"),
    ]
    return [(name, key) for name, key in every if any(getattr(row, key) is not None for row in report.rows)]


def cells(report: AdviceReport, row: AdviceRow) -> list[str]:
    """The figures of a row, in the order of `advice_columns`."""
    return [_cell(row, key) for _, key in advice_columns(report)]


def _cell(row: AdviceRow, key: str) -> str:
    value = getattr(row, key)
    if value is None or (key == "rare_in_training" and not row.new_tokens):
        return DASH
    if key == "bits":
        mark = "?" if value.extrapolated else ""
        return f"{value.value:.2f}{mark} [{value.low:.2f}, {value.high:.2f}]"
    if key in ("new_tokens", "rare_in_training", "training_chars"):
        return number_text(value, 0)
    return number_text(value, 3 if key == "chars_per_token" or value < 1 else 1)


def _plots(report: AdviceReport) -> list[str]:
    extended = [row for row in report.rows if row.new_tokens]
    if not extended:
        return []
    sizes = [row.new_tokens for row in extended]
    plots = [
        line_chart(
            [Series("Extended", sizes, [row.chars_per_token for row in extended], 1)],
            title="Characters per token, held out",
            x_label="new tokens",
            y_label="chars/token",
            level=report.rows[0].chars_per_token,
        ),
        line_chart(
            [Series("Rare", sizes, [100 * row.rare_in_training / row.new_tokens for row in extended], 2)],
            title="New tokens that stand rarely in the training",
            x_label="new tokens",
            y_label="% of them",
        ),
    ]
    known = [(row.new_tokens, row.bits) for row in extended if row.bits is not None]
    if known:
        bounds = (("Expected", "value", False), ("Low", "low", True), ("High", "high", True))
        lines = [Series(name, [size for size, _ in known], [getattr(bits, key) for _, bits in known], 1, dashed) for name, key, dashed in bounds]
        own = report.rows[0].bits
        plots.append(
            line_chart(
                lines, title="Bits per character after the training", x_label="new tokens", y_label="bits/char or share", level=own.value if own else None
            )
        )
    return plots
