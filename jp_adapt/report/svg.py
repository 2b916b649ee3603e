"""Small drawings as SVG text, a line chart, a bar chart and an accuracy bar, and the way numbers and texts are written in them and around them.

Every colour is a CSS variable with a fallback, so the same text follows the theme of a page it is put in and is also a complete .svg file.
Viewers that do not know CSS variables take the plain colour attributes.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from jp_adapt.core.visible import escape
from jp_adapt.report.written import _minus, finite, number_text, value_text

# Colours of series 0, 1, ... on a light and on a dark ground: grey (the base), indigo, persimmon, green, plum.
LIGHT = ("#626973", "#1f4e8c", "#a84b14", "#1f6b45", "#7a3b78")
DARK = ("#a3a9b3", "#8fb6f2", "#e8a06a", "#7fcb9f", "#d3a0d0")
_PLAIN = {"chart-bg": ("#ffffff", "#181b20"), "chart-ink": ("#1d1f23", "#e7e5e0"), "chart-muted": ("#595e66", "#a9aeb7")}
_PLAIN["chart-grid"] = ("#e3e2de", "#333840")

WIDTH, HEIGHT = 460.0, 300.0
_FONT = 13.0
_MAX_POINTS = 600  # of one line: more than a screen has pixels to show
_UNITS = ((1e9, "B", 2e9), (1e6, "M", 2e6), (1e3, "k", 1e4))  # of tick labels: size, name and the largest tick that it takes
_DENSE = 100  # a line of more points than this is drawn thin: its noise would fill the chart otherwise
_MAX_HOVER = 60  # points of one line that answer to the pointer
_NAME_LANE = 190.0  # the most that the names at the left of bars take
_MAX_DOTS = 15  # a line of no more points than this gets visible dots


@dataclass(frozen=True)
class Series:
    """One line of a chart: `colour` is an index into the palette. Points that are not finite are left out."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    colour: int = 0
    dashed: bool = False

    def __post_init__(self) -> None:
        if len(self.xs) != len(self.ys):
            raise ValueError(f"series {self.name!r} has {len(self.xs)} x values and {len(self.ys)} y values")

    def points(self) -> list[tuple[float, float]]:
        """The finite points, in the order given."""
        return [(float(x), float(y)) for x, y in zip(self.xs, self.ys, strict=True) if math.isfinite(x) and math.isfinite(y)]


@dataclass(frozen=True)
class Mark:
    """A share between 0 and 1 with its interval, for `interval_bar`."""

    name: str
    value: float
    low: float
    high: float
    colour: int = 0


@dataclass(frozen=True)
class Bar:
    """One bar of `bar_chart`; a value that is not a number gets a dash and no bar."""

    name: str
    value: float | None
    colour: int = 0


@dataclass(frozen=True)
class _Scale:
    """A linear map from data to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


SAME = 1e-9  # by which numbers differ that no axis can tell apart


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About `count` round numbers, evenly spaced, the first at or below `low` and the last at or above `high`.

    Raises:
        ValueError: a bound is not finite, or `high` is below `low`.
    """
    if not (math.isfinite(low) and math.isfinite(high)) or high < low:
        raise ValueError(f"no ticks for the range {low} to {high}")
    if high - low <= SAME * max(abs(low), abs(high)):  # ticks have 12 digits
        pad = abs(low) * 0.1 or 1.0
        low, high = low - pad, high + pad
    raw = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1.0, 2.0, 2.5, 5.0, 10.0) if factor * power >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{index * step:.12g}") for index in range(first, last + 1)]


def tick_labels(ticks: Sequence[float]) -> list[str]:
    """The ticks as text, all with one unit (none, k, M, B) and as many decimals as tell them apart."""
    largest = max((abs(tick) for tick in ticks), default=0.0)
    unit, suffix = next(((size, name) for size, name, least in _UNITS if largest >= least), (1.0, ""))
    scaled = [tick / unit for tick in ticks]
    digits = next((d for d in range(7) if all(abs(round(value, d) - value) < 1e-9 * max(1.0, abs(value)) for value in scaled)), 7)
    return ["0" if value == 0 else _minus(f"{value:.{digits}f}") + suffix for value in scaled]


def line_chart(series: Sequence[Series], *, title: str, x_label: str, y_label: str, level: float | None = None, y_min_span: float = 0.0) -> str:
    """A line chart with axes, round ticks, a legend and a hover title on the points.

    `level` is the base model's own value, drawn as a dashed line from one side to the other. `y_min_span` is the least height of the vertical
    axis in data units: it keeps a change too small to matter from filling the chart.
    """
    drawn = [(entry, entry.points()) for entry in series]
    drawn = [(entry, points) for entry, points in drawn if points]
    xs = [x for _, points in drawn for x, _ in points] or [0.0]
    low, high = min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1.0
    if level is not None and math.isfinite(level):
        base = Series("Base model", [low, high], [level, level], dashed=True)
        drawn.append((base, base.points()))
    legend, legend_bottom = draw_legend([entry for entry, _ in drawn], top=40.0)
    y_ticks = _y_ticks([y for _, points in drawn for _, y in points], y_min_span)
    y_names = tick_labels(y_ticks)
    left = 16.0 + max(_text_width(name) for name in y_names)
    top, bottom = legend_bottom + 38.0, HEIGHT - 48.0
    y_scale = _Scale(y_ticks[0], y_ticks[-1], bottom, top)
    x_scale = _Scale(low, high, left, WIDTH - 20.0)
    body = [
        f'<text class="jc-title" x="8" y="20" font-weight="600" fill="{_light("chart-ink")}">{escape(title)}</text>',
        legend,
        _axes(x_scale, y_scale, y_ticks, y_names),
        label(8.0, top - 14, y_label),
        label(WIDTH - 20, HEIGHT - 8, x_label, "end"),
        *(_line(entry, points, x_scale, y_scale, x_label, y_label) for entry, points in drawn),
    ]
    if not drawn:
        body.append(label(WIDTH / 2, (top + bottom) / 2, "no data", "middle"))
    given = " ".join(f"{entry.name}: from {value_text(p[0][1])} to {value_text(p[-1][1])}." for entry, p in drawn) or "No data."
    return document(WIDTH, HEIGHT, title, f"{y_label} over {x_label}. {given}", "".join(body), "jc jc-chart")


def interval_bar(marks: Sequence[Mark], *, chance: float | None, title: str) -> str:
    """Shares on one axis from 0 to 100 %: a dot for each value, a line for its interval, a dashed line at the chance level."""
    width, top, lane = 220.0, 16.0, 15.0
    bottom = top + lane * max(1, len(marks))
    scale = _Scale(0.0, 1.0, 12.0, width - 20.0)
    parts = [rule(_AXIS, (scale(0.0), bottom), (scale(1.0), bottom))]
    for share, name in ((0.0, "0"), (0.5, "50"), (1.0, "100 %")):
        parts.append(rule(_AXIS, (scale(share), bottom), (scale(share), bottom + 4)))
        parts.append(label(scale(share), bottom + 15, name, "middle", "jc-small"))
    given = [f"{mark.name} {mark.value * 100:.1f} % (95 % interval {mark.low * 100:.1f} to {mark.high * 100:.1f} %)" for mark in marks]
    for index, mark in enumerate(marks):
        y = top + lane * (index + 0.5)
        line = rule(colour(mark.colour, "l", "stroke"), (scale(_share(mark.low)), y), (scale(_share(mark.high)), y), _THICK)
        dot = f'<circle {colour(mark.colour, "d", "fill")} cx="{px(scale(_share(mark.value)))}" cy="{px(y)}" r="4.5"/>'
        parts.append(f"<g><title>{escape(given[index])}</title>{line}{dot}</g>")
    if chance is not None:
        x = scale(_share(chance))
        given.append(f"chance level {chance * 100:.0f} %")
        parts.append(rule(f'class="jc-chance" stroke="{_light("chart-ink")}"', (x, 12.0), (x, bottom), ' stroke-dasharray="3 3"'))
        parts.append(label(x, 9.0, "chance", "start" if chance < 0.1 else "end" if chance > 0.9 else "middle", "jc-small"))
    return document(width, bottom + 20.0, title, "; ".join(given) + ".", "".join(parts), "jc jc-bar")


def bar_chart(groups: Sequence[tuple[str, Sequence[Bar]]], *, title: str, unit: str, most: float | None = None) -> str:
    """Lying bars from zero on one scale for all `groups` of (name, bars): the name at the left, the value at the end of each bar.

    The scale ends at `most`, or at the largest value where that is larger, or where none is given.
    """
    values = [bar.value for _, bars in groups for bar in bars if finite(bar.value) is not None and bar.value is not None]
    widest = max((_text_width(bar.name) for _, bars in groups for bar in bars), default=0.0)
    left = min(_NAME_LANE, widest) + 20.0
    scale = _Scale(0.0, max([*values, most or 0.0], default=0.0) or 1.0, left, WIDTH - 60.0)
    parts, y, given = [f'<text class="jc-title" x="8" y="20" font-weight="600" fill="{_light("chart-ink")}">{escape(title)}</text>'], 30.0, []
    for group, bars in groups:
        parts.append(f'<text class="jc-title" x="8" y="{px(y + 16)}" fill="{_light("chart-ink")}">{escape(_shortened(group, WIDTH - 16.0))}</text>')
        y += 24.0
        for bar in bars:
            value, said = finite(bar.value), number_text(bar.value, 2)
            given.append(f"{group}, {bar.name}: {said} {unit}")
            end = scale(max(0.0, value)) if value is not None else left
            drawn = f'<rect {colour(bar.colour, "d", "fill")} x="{px(left)}" y="{px(y + 3)}" width="{px(end - left)}" height="13" rx="1.5"/>'
            words = label(left - 8, y + 14, _shortened(bar.name, _NAME_LANE), "end") + label(end + 6, y + 14, said)
            parts.append(f"<g><title>{escape(given[-1])}</title>{drawn}{words}</g>")
            y += 20.0
        y += 8.0
    return document(WIDTH, y + 4.0, title, ("; ".join(given) or "no data") + ".", "".join(parts), "jc jc-chart")


def document(width: float, height: float, title: str, description: str, body: str, css_class: str) -> str:
    """The svg element: its title and description are what a screen reader gets instead of the drawing."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="{css_class}" role="img" viewBox="0 0 {px(width)} {px(height)}" '
        f'width="{px(width)}" height="{px(height)}" font-family="system-ui, sans-serif" font-size="{_FONT:g}" '
        f'aria-label="{escape(title)}. {escape(description)}">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc><style>{_STYLE}</style>"
        f'<rect class="jc-bg" width="100%" height="100%" fill="{_light("chart-bg")}"/>{body}</svg>'
    )


def _style_sheet() -> str:
    """The rules that read the CSS variables. `svg:root` matches only a standalone file, which has no page to give it dark colours."""
    rules = [f".jc-bg{{fill:{_var('chart-bg')}}}.jc text{{fill:{_var('chart-muted')}}}.jc text.jc-title{{fill:{_var('chart-ink')}}}"]
    rules.append(f".jc-grid{{stroke:{_var('chart-grid')}}}.jc-axis{{stroke:{_var('chart-muted')}}}.jc-chance{{stroke:{_var('chart-ink')}}}")
    rules.append(".jc text.jc-small{font-size:11px}.jc-hit{opacity:0}.jc-hit:hover{opacity:1}.jc circle{pointer-events:all}")
    dark = [f"--{name}:{pair[1]}" for name, pair in _PLAIN.items()]
    for index, (light, other) in enumerate(zip(LIGHT, DARK, strict=True)):
        rules.append(f".jc-l{index}{{stroke:var(--series-{index},{light})}}.jc-d{index}{{fill:var(--series-{index},{light})}}")
        dark.append(f"--series-{index}:{other}")
    rules.append(f"@media (prefers-color-scheme:dark){{svg:root{{{';'.join(dark)}}}}}")
    return "".join(rules)


def draw_legend(series: Sequence[Series], *, top: float) -> tuple[str, float]:
    """A sample of each line with its name, in as many rows as they need; and where the last row ends."""
    x, y, parts = 8.0, top, []
    for entry in series:
        width = 40.0 + _text_width(entry.name)
        if x > 8.0 and x + width > WIDTH - 8.0:
            x, y = 8.0, y + 18.0
        dash = ' stroke-dasharray="5 4"' if entry.dashed else ""
        look = colour(entry.colour, "l", "stroke")
        parts += [rule(look, (x, y - 4), (x + 20, y - 4), f' stroke-width="2.2"{dash}'), label(x + 26, y, entry.name)]
        x += width
    return "".join(parts), y


def _axes(x_scale: _Scale, y_scale: _Scale, y_ticks: Sequence[float], y_names: Sequence[str]) -> str:
    """Grid lines with their labels, and the ticks of the horizontal axis that lie inside the data."""
    parts, grid = [], f'class="jc-grid" stroke="{_light("chart-grid")}"'
    left, right, base = x_scale.start, x_scale.end, y_scale.start
    for tick, name in zip(y_ticks, y_names, strict=True):
        y = y_scale(tick)
        parts += [rule(grid, (left, y), (right, y)), label(left - 8, y + 4.5, name, "end")]
    parts.append(rule(_AXIS, (left, base), (right, base)))
    ticks = [tick for tick in nice_ticks(x_scale.low, x_scale.high) if x_scale.low <= tick <= x_scale.high]
    for tick, name in zip(ticks, tick_labels(ticks), strict=True):
        x = x_scale(tick)
        parts += [rule(_AXIS, (x, base), (x, base + 5)), label(x, base + 19, name, "middle")]
    return "".join(parts)


def _line(one: Series, points: list[tuple[float, float]], x_scale: _Scale, y_scale: _Scale, x_label: str, y_label: str) -> str:
    """The line itself and the points that answer to the pointer; those of a short line are drawn as dots."""
    path = " ".join(f"{px(x_scale(x))},{px(y_scale(y))}" for x, y in thin(points, _MAX_POINTS))
    pen = 'stroke-width="1" opacity="0.7"' if len(points) > _DENSE else 'stroke-width="2"' + (' stroke-dasharray="5 4"' if one.dashed else "")
    parts = [f'<polyline {colour(one.colour, "l", "stroke")} fill="none" {pen} stroke-linejoin="round" points="{path}"/>']
    dots = len(points) <= _MAX_DOTS and not one.dashed
    stride = max(1, math.ceil(len(points) / _MAX_HOVER))
    for x, y in points[::stride]:
        given = f"{one.name}: {value_text(y)} {y_label} at {value_text(x)} {x_label}"
        fill, extra = colour(one.colour, "d", "fill", "" if dots else "jc-hit"), "" if dots else ' opacity="0"'
        circle = f'cx="{px(x_scale(x))}" cy="{px(y_scale(y))}" r="3.5" stroke="transparent" stroke-width="10"'
        parts.append(f"<circle {fill} {circle}{extra}><title>{escape(given)}</title></circle>")
    return "".join(parts)


def thin(points: list[tuple[float, float]], limit: int) -> list[tuple[float, float]]:
    """At most about `limit` of the points, the lowest and the highest of each stretch, so that no spike is lost."""
    if len(points) <= limit:
        return points
    size = math.ceil(2 * len(points) / limit)
    kept = {0, len(points) - 1}
    for start in range(0, len(points), size):
        stretch = range(start, min(start + size, len(points)))
        kept |= {min(stretch, key=lambda index: points[index][1]), max(stretch, key=lambda index: points[index][1])}
    return [points[index] for index in sorted(kept)]


def _y_ticks(ys: Sequence[float], min_span: float) -> list[float]:
    """Ticks that cover the values, over at least `min_span`, with the values in the middle."""
    low, high = (min(ys), max(ys)) if ys else (0.0, 1.0)
    missing = max(0.0, min_span - (high - low)) / 2
    return nice_ticks(low - missing, high + missing)


def _text_width(text: str) -> float:
    """Rough width in pixels: full-width characters are one font size wide, others a little over half of it."""
    return sum(_FONT if unicodedata.east_asian_width(char) in "WF" else _FONT * 0.58 for char in text)


def _shortened(text: str, width: float) -> str:
    """The text, its middle left out where it is wider than `width` pixels: paths differ at their ends."""
    head, tail = text[: len(text) // 2], text[len(text) // 2 :]
    while head and _text_width(head + tail + ("" if len(head) + len(tail) == len(text) else "\u2026")) > width:
        head, tail = (head[:-1], tail) if len(head) >= len(tail) else (head, tail[1:])
    return text if len(head) + len(tail) == len(text) else f"{head}\u2026{tail}"


def colour(index: int, kind: str, attribute: str, extra: str = "") -> str:
    """Class and fallback attribute of a palette colour; an index beyond the palette starts over."""
    slot = index % len(LIGHT)
    return f'class="jc-{kind}{slot}{" " + extra if extra else ""}" {attribute}="{LIGHT[slot]}"'


def rule(look: str, start: tuple[float, float], end: tuple[float, float], more: str = "") -> str:
    """A straight line from `start` to `end`; `look` is its class and fallback stroke."""
    return f'<line {look} x1="{px(start[0])}" y1="{px(start[1])}" x2="{px(end[0])}" y2="{px(end[1])}"{more}/>'


def label(x: float, y: float, text: str, anchor: str = "start", css_class: str = "") -> str:
    """A word of the drawing in the muted colour."""
    named = f' class="{css_class}"' if css_class else ""
    return f'<text{named} x="{px(x)}" y="{px(y)}" text-anchor="{anchor}" fill="{_light("chart-muted")}">{escape(text)}</text>'


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))


def px(value: float) -> str:
    return f"{round(value, 1):g}"


def _light(name: str) -> str:
    return _PLAIN[name][0]


def _var(name: str) -> str:
    return f"var(--{name},{_light(name)})"


_AXIS = f'class="jc-axis" stroke="{_light("chart-muted")}"'
_THICK = ' stroke-width="4" stroke-linecap="round" opacity="0.45"'
_STYLE = _style_sheet()
