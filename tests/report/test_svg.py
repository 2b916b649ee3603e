"""The drawings: complete SVG files, round ticks, nothing drawn outside, nothing lost."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from importlib.resources import files
from itertools import pairwise
from typing import Any

import pytest

from jp_adapt.report.svg import DARK, LIGHT, Mark, Series, interval_bar, line_chart, nice_ticks, thin, tick_labels
from jp_adapt.report.written import duration_text, finite, number_text, range_text, size_text

NS = "{http://www.w3.org/2000/svg}"


def chart(*series: Series, **more: Any) -> ET.Element:
    return ET.fromstring(line_chart(series, title="Loss", x_label="tokens seen", y_label="bits per character", **more))


def texts(root: ET.Element, tag: str = "text") -> list[str]:
    return [element.text or "" for element in root.iter(NS + tag)]


def polyline(root: ET.Element, index: int = 0) -> list[tuple[float, float]]:
    line = list(root.iter(NS + "polyline"))[index]
    return [(float(x), float(y)) for x, y in (pair.split(",") for pair in line.attrib["points"].split())]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (4.43, 8.9, [4, 5, 6, 7, 8, 9]),
        (0.26, 0.28, [0.26, 0.265, 0.27, 0.275, 0.28]),
        (-1, 1, [-1, -0.5, 0, 0.5, 1]),
        (0, 2867200, [0, 1e6, 2e6, 3e6]),
        (5, 5, [4.4, 4.6, 4.8, 5, 5.2, 5.4, 5.6]),
    ],
)
def test_ticks_are_round(low: float, high: float, expected: list[float]) -> None:
    ticks = nice_ticks(low, high)
    assert ticks[0] <= low
    assert ticks[-1] >= high
    if low != high:
        assert ticks == pytest.approx(expected)


@pytest.mark.parametrize("scale", [1e-7, 1e-3, 1.0, 37.3, 1e6, 1e12])
def test_ticks_cover_the_range_evenly_at_every_scale(scale: float) -> None:
    for low, high in ((0.0, 1.0), (-3.7, 11.1), (0.999, 1.001)):
        ticks = nice_ticks(low * scale, high * scale)
        steps = [b - a for a, b in pairwise(ticks)]
        assert 3 <= len(ticks) <= 8
        assert ticks[0] <= low * scale * (1 + 1e-9) + 1e-12 * scale
        assert ticks[-1] >= high * scale * (1 - 1e-9)
        assert max(steps) == pytest.approx(min(steps), rel=1e-6)


def test_numbers_that_differ_in_the_last_bit_have_ticks_of_one_number() -> None:
    low = 18.65539341571267
    assert nice_ticks(low, low + 1e-14) == nice_ticks(low, low)
    drawing = line_chart([Series("a", [1.0, 2.0], [low, low + 1e-14])], title="t", x_label="x", y_label="y")
    assert "18.66" in drawing or "18.655" in drawing


@pytest.mark.parametrize(("low", "high"), [(1, 0), (math.nan, 1), (0, math.inf)])
def test_ticks_of_no_range_are_refused(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="no ticks"):
        nice_ticks(low, high)


def test_tick_labels_share_unit_and_decimals() -> None:
    assert tick_labels([0, 500000, 1000000, 1500000]) == ["0", "500k", "1000k", "1500k"]
    assert tick_labels([0, 2000, 4000]) == ["0", "2000", "4000"]
    assert tick_labels([0, 1e6, 2e6]) == ["0", "1M", "2M"]
    assert tick_labels([4.0, 4.5, 5.0]) == ["4.0", "4.5", "5.0"]
    assert tick_labels([-0.05, 0, 0.05]) == ["\u22120.05", "0", "0.05"]


def test_a_chart_is_a_complete_svg_file() -> None:
    root = chart(Series("Held-out", [0, 1000, 2000], [8.4, 6.0, 5.0], 1))
    assert root.tag == NS + "svg"
    assert root.attrib["viewBox"] == "0 0 460 300"
    assert root[0].tag == NS + "title"
    assert root[0].text == "Loss"
    assert "Held-out: from 8.4 to 5" in (root[1].text or "")
    results = texts(root)
    assert {"Loss", "tokens seen", "bits per character", "Held-out"} <= set(results)
    assert [text for text in results if text.isdigit()] == ["5", "6", "7", "8", "9", "0", "500", "1000", "1500", "2000"]
    assert "Held-out: 6 bits per character at 1,000 tokens seen" in texts(root, "title")


def test_colours_have_fallbacks_for_viewers_without_variables() -> None:
    text = line_chart([Series("a", [0, 1], [0, 1], 2)], title="t", x_label="x", y_label="y")
    assert f'stroke="{LIGHT[2]}"' in text
    assert f"var(--series-2,{LIGHT[2]})" in text
    assert 'fill="#ffffff"' in text
    assert "svg:root" in text
    assert re.sub(r'xmlns="[^"]*"', "", text).count("://") == 0
    beyond = line_chart([Series("a", [0, 1], [0, 1], 7)], title="t", x_label="x", y_label="y")
    assert 'class="jc-l2"' in beyond


def test_higher_values_are_drawn_higher_and_inside() -> None:
    root = chart(Series("a", [0, 1, 2, 3], [5.0, 9.0, -2.0, 3.0]), level=20.0)
    points = polyline(root)
    ys = [y for _, y in points]
    assert ys[1] < ys[0] < ys[3] < ys[2]
    for line in (points, polyline(root, 1)):
        assert all(0 <= x <= 460 and 0 <= y <= 300 for x, y in line)
    assert [x for x, _ in points] == sorted(x for x, _ in points)


def test_the_base_level_is_a_dashed_line_from_side_to_side() -> None:
    root = chart(Series("a", [0, 1, 2], [5.0, 4.0, 3.0]), level=4.5)
    dashed = [line for line in root.iter(NS + "polyline") if "stroke-dasharray" in line.attrib]
    assert len(dashed) == 1
    line, level = polyline(root), polyline(root, 1)
    assert [x for x, _ in level] == [line[0][0], line[-1][0]]
    assert level[0][1] == level[1][1]
    assert line[1][1] > level[0][1] > line[0][1]
    assert "Base model" in texts(root)
    assert "Base model" not in texts(chart(Series("a", [0, 1], [5.0, 4.0]), level=math.nan))


def test_points_that_are_no_numbers_are_left_out() -> None:
    root = chart(Series("a", [0, 1, 2, math.inf], [5.0, math.nan, 3.0, 2.0]), Series("gone", [0], [math.nan]))
    assert len(polyline(root)) == 2
    assert "gone" not in texts(root)
    assert "nan" not in ET.tostring(root, encoding="unicode")


@pytest.mark.parametrize("series", [[], [Series("a", [], [])], [Series("a", [0.0], [math.nan])]])
def test_a_chart_of_nothing_says_so(series: list[Series]) -> None:
    assert "no data" in texts(chart(*series))


def test_one_point_is_a_chart_too() -> None:
    root = chart(Series("a", [0], [5.0]))
    assert len(polyline(root)) == 1
    assert len(list(root.iter(NS + "circle"))) == 1


def test_the_least_span_keeps_small_changes_small() -> None:
    flat, steep = (polyline(chart(Series("a", [0, 1], [1.167, 1.171]), y_min_span=span)) for span in (0.2, 0.0))
    assert abs(flat[0][1] - flat[1][1]) < 5 < abs(steep[0][1] - steep[1][1])


def test_a_long_line_is_thinned_but_keeps_its_spikes() -> None:
    points = [(float(x), math.sin(x)) for x in range(10_000)]
    points[4321] = (4321.0, 99.0)
    points[7777] = (7777.0, -99.0)
    kept = thin(points, 600)
    assert len(kept) <= 610
    assert {points[0], points[4321], points[7777], points[-1]} <= set(kept)
    assert kept == sorted(kept)
    assert thin(points[:600], 600) == points[:600]
    root = chart(Series("a", [x for x, _ in points], [y for _, y in points]))
    assert len(polyline(root)) <= 610
    assert len(list(root.iter(NS + "circle"))) <= 60


def test_the_legend_wraps_and_stays_inside() -> None:
    root = chart(*(Series(f"a long name of a series, {index}", [0, 1], [index, 1], index) for index in range(5)))
    legend = [element for element in root.iter(NS + "text") if (element.text or "").startswith("a long")]
    assert len(legend) == 5
    assert len({element.attrib["y"] for element in legend}) >= 3
    assert max(float(element.attrib["y"]) for element in legend) < min(y for _, y in polyline(root))


def test_a_series_needs_as_many_xs_as_ys() -> None:
    with pytest.raises(ValueError, match="2 x values and 1 y values"):
        Series("a", [0, 1], [0])


def test_text_in_a_drawing_is_escaped() -> None:
    nasty = "</text><script>alert('x')</script>\x00\x1b&\"\ud800"
    root = ET.fromstring(line_chart([Series(nasty, [0, 1], [0, 1])], title=nasty, x_label=nasty, y_label=nasty))
    assert list(root.iter(NS + "script")) == []
    bar = ET.fromstring(interval_bar([Mark(nasty, 0.5, 0.4, 0.6)], chance=0.5, title=nasty))
    assert list(bar.iter(NS + "script")) == []


def bar(chance: float | None = 0.25) -> ET.Element:
    marks = [Mark("Base", 0.26, 0.18, 0.35, 0), Mark("Adapted", 0.5, -0.4, 1.7, 1)]
    return ET.fromstring(interval_bar(marks, chance=chance, title="Accuracy"))


def test_the_bar_shows_value_interval_and_chance() -> None:
    root = bar()
    lines = [line for line in root.iter(NS + "line") if line.attrib.get("stroke-width") == "4"]
    dots = list(root.iter(NS + "circle"))
    left, right = 12.0, 200.0  # where 0 and 100 % are drawn
    assert float(dots[0].attrib["cx"]) == pytest.approx(left + 0.26 * (right - left), abs=0.1)
    assert float(lines[0].attrib["x1"]) == pytest.approx(left + 0.18 * (right - left), abs=0.1)
    assert (float(lines[1].attrib["x1"]), float(lines[1].attrib["x2"])) == (left, right)
    dashed = [line for line in root.iter(NS + "line") if "stroke-dasharray" in line.attrib]
    assert len(dashed) == 1
    assert float(dashed[0].attrib["x1"]) == pytest.approx(left + 0.25 * (right - left), abs=0.1)
    assert "Base 26.0 % (95 % interval 18.0 to 35.0 %)" in root.attrib["aria-label"]
    assert float(dots[0].attrib["cy"]) < float(dots[1].attrib["cy"])


def test_the_bar_does_without_a_chance_level() -> None:
    root = bar(None)
    assert not [line for line in root.iter(NS + "line") if "stroke-dasharray" in line.attrib]
    assert "chance" not in root.attrib["aria-label"]
    assert "chance" not in texts(root)


def test_numbers_as_text() -> None:
    assert number_text(-1234.567, 1) == "\u22121,234.6"
    assert number_text(0.0251, 1, times=100, sign=True) == "+2.5"
    assert number_text(-0.0001, 2, sign=True) == "0.00"
    assert [number_text(value, 2) for value in (None, math.nan, math.inf, "7")] == ["\u2013"] * 4
    assert range_text((-0.05, 0.09), 1, times=100, sign=True) == "\u22125.0 to +9.0"
    assert range_text(None, 1) == ""
    assert finite("3") is None
    assert finite(3) == 3.0


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "\u2013"), (0.04, "0.0 s"), (7.14, "7.1 s"), (60, "1 min 0 s"), (3599.6, "1 h 0 min"), (3725, "1 h 2 min")]
)
def test_times_as_text(seconds: float | None, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(None, "\u2013"), (0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (3 * 2**30, "3.0 GiB")])
def test_sizes_as_text(count: int | None, text: str) -> None:
    assert size_text(count) == text


def themes() -> dict[str, dict[str, str]]:
    """The colours of the style sheet: light, dark by the system and dark by the button."""
    css = files("jp_adapt.report").joinpath("report.css").read_text(encoding="utf-8")
    blocks = re.findall(r"(:root[^{]*)\{([^{}]*--ink[^{}]*)\}", css)
    return {selector.strip(): dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6})", body)) for selector, body in blocks}


def contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2."""

    def luminance(colour: str) -> float:
        parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_text_has_enough_contrast_in_both_themes() -> None:
    results = themes()
    assert len(results) == 3
    for name, colours in results.items():
        for ink, grounds in {
            "ink": ("paper", "panel", "chip-a", "chip-b", "chip-new", "chip-hex", "warn-paper"),
            "muted": ("paper", "panel", "chip-new"),
            "accent": ("paper",),
            "good": ("paper", "panel"),
            "bad": ("paper", "panel"),
            "chart-ink": ("chart-bg",),
            "chart-muted": ("chart-bg", "paper"),
            **{f"series-{index}": ("chart-bg", "paper") for index in range(len(LIGHT))},
        }.items():
            for ground in grounds:
                assert contrast(colours[ink], colours[ground]) >= 4.5, (name, ink, ground)


def test_the_themes_agree_with_each_other_and_with_the_drawings() -> None:
    light, by_system, by_button = themes().values()
    assert by_system == by_button
    assert set(light) == set(by_system)
    assert tuple(light[f"series-{index}"] for index in range(len(LIGHT))) == LIGHT
    assert tuple(by_system[f"series-{index}"] for index in range(len(DARK))) == DARK
