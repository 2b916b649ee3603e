"""A radar: several models on several benchmarks at once, from 0 in the middle to 1 at the rim."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from jp_adapt.core.visible import escape
from jp_adapt.report.svg import WIDTH, Series, colour, document, draw_legend, label, px
from jp_adapt.report.written import number_text

RADIUS = 120.0
LEAST_AXES = 3  # fewer make no area
_RINGS = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Polygon:
    """One model: a value between 0 and 1 for each axis; `colour` is an index into the palette."""

    name: str
    values: Sequence[float]
    colour: int = 0


def radar(axes: Sequence[str], polygons: Sequence[Polygon], *, title: str) -> str:
    """A radar of `polygons` over `axes`. ValueError for fewer than three axes, and for a polygon of another length."""
    if len(axes) < LEAST_AXES:
        raise ValueError(f"a radar needs {LEAST_AXES} axes, and there are {len(axes)}")
    for entry in polygons:
        if len(entry.values) != len(axes):
            raise ValueError(f"'{entry.name}' has {len(entry.values)} values, and there are {len(axes)} axes")
    names, bottom = draw_legend([Series(entry.name, [], [], entry.colour) for entry in polygons], top=40.0)
    centre = (WIDTH / 2, bottom + 40.0 + RADIUS)
    parts = [f'<text class="jc-title" x="8" y="20" font-weight="600">{escape(title)}</text>', names]
    for ring in _RINGS:
        parts.append(f'<polygon class="jc-grid" fill="none" stroke="#e3e2de" points="{_points(centre, [ring] * len(axes))}"/>')
    for index, axis in enumerate(axes):
        x, y = _at(centre, index, len(axes), 1.12)
        anchor = "middle" if abs(x - centre[0]) < RADIUS / 3 else "start" if x > centre[0] else "end"
        parts.append(label(x, y + 4, axis, anchor))
    given = []
    for entry in polygons:
        said = ", ".join(f"{axis} {number_text(value, 3)}" for axis, value in zip(axes, entry.values, strict=True))
        given.append(f"{entry.name}: {said}")
        look = colour(entry.colour, "l", "stroke")
        shape = f'<polygon {look} fill="none" stroke-width="2" stroke-linejoin="round" points="{_points(centre, entry.values)}"/>'
        dots = "".join(
            f'<circle {colour(entry.colour, "d", "fill")} cx="{px(x)}" cy="{px(y)}" r="3"/>'
            for x, y in (_at(centre, index, len(axes), _inside(value)) for index, value in enumerate(entry.values))
        )
        parts.append(f"<g><title>{escape(given[-1])}</title>{shape}{dots}</g>")
    return document(WIDTH, centre[1] + RADIUS + 40.0, title, ". ".join(given), "".join(parts), "jc jc-chart")


def _points(centre: tuple[float, float], values: Sequence[float]) -> str:
    places = (_at(centre, index, len(values), _inside(value)) for index, value in enumerate(values))
    return " ".join(f"{px(x)},{px(y)}" for x, y in places)


def _at(centre: tuple[float, float], index: int, count: int, share: float) -> tuple[float, float]:
    """A point of an axis; the first axis points up, the others follow clockwise."""
    angle = 2 * math.pi * index / count - math.pi / 2
    return centre[0] + RADIUS * share * math.cos(angle), centre[1] + RADIUS * share * math.sin(angle)


def _inside(value: float) -> float:
    return min(1.0, max(0.0, value))
