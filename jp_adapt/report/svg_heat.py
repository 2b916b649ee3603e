"""A heat map: numbers in a grid of named rows and columns, each cell tinted by its value and with the value in it."""

from __future__ import annotations

from collections.abc import Sequence

from jp_adapt.core.visible import escape
from jp_adapt.report.svg import WIDTH, colour, document, label, px
from jp_adapt.report.written import number_text

_NAMES, _CELL, _TOP = 150.0, 26.0, 54.0
_FAINTEST, _DEEPEST = 0.08, 0.75  # opacity of the lowest and the highest value: the words stay readable on both


def heat_map(rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[float | None]], *, title: str, low: float, high: float) -> str:
    """A heat map of `values` (a list for each row) between `low` and `high`. ValueError where the values do not fill the grid."""
    if len(values) != len(rows) or any(len(row) != len(columns) for row in values):
        raise ValueError(f"{len(rows)} rows of {len(columns)} values are needed")
    width = (WIDTH - _NAMES - 8.0) / max(1, len(columns))
    parts = [f'<text class="jc-title" x="8" y="20" font-weight="600">{escape(title)}</text>']
    parts += [label(_NAMES + width * (at + 0.5), _TOP - 8, name, "middle", "jc-small") for at, name in enumerate(columns)]
    given = []
    for place, (name, line) in enumerate(zip(rows, values, strict=True)):
        y = _TOP + _CELL * place
        parts.append(label(_NAMES - 8, y + 17, name, "end"))
        for at, value in enumerate(line):
            if value is None:
                continue
            x, share = _NAMES + width * at, min(1.0, max(0.0, (value - low) / (high - low) if high > low else 0.0))
            given.append(f"{name}, {columns[at]}: {number_text(value, 2)}")
            look = f'{colour(1, "d", "fill")} fill-opacity="{_FAINTEST + (_DEEPEST - _FAINTEST) * share:.2f}"'
            cell = f'<rect {look} x="{px(x + 1)}" y="{px(y + 1)}" width="{px(width - 2)}" height="{px(_CELL - 2)}" rx="2"/>'
            words = f'<text class="jc-title" x="{px(x + width / 2)}" y="{px(y + 17)}" text-anchor="middle">{number_text(value, 2)}</text>'
            parts.append(f"<g><title>{escape(given[-1])}</title>{cell}{words}</g>")
    return document(WIDTH, _TOP + _CELL * len(rows) + 12.0, title, ("; ".join(given) or "no values") + ".", "".join(parts), "jc jc-chart")
