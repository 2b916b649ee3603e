"""The two lines that `advise` expects bits per character by: fitted to the figures of the log, and no further than those carry."""

from __future__ import annotations

import math
import re

import pytest

from jp_adapt.model.expected_bits import FURTHEST, QUALITY, expected_gap, expected_own, fitted, gap_line, own_line, tokens_to_meet
from tests.conftest import ROOT


def test_the_points_are_those_of_the_log() -> None:
    text = (ROOT / "docs" / "log.md").read_text(encoding="utf-8")
    rows = {name: re.search(rf"^\| {name} \|(.*)\|$", text.split("| ja bits/char at minute |")[1], flags=re.MULTILINE) for name in ("base", "ours")}
    base, ours = ([float(cell) for cell in row.group(1).split("|")][1:] for row in rows.values() if row)
    assert [(own, extended) for _, own, extended in QUALITY.points] == list(zip(base, ours, strict=True))
    assert f"| {QUALITY.extended_tokens:,} |" in text
    assert f"| {QUALITY.own_tokens:,} |" in text


def test_a_line_that_holds_exactly_is_found_and_has_no_width() -> None:
    line = fitted([(2.0**power, 1.0 - 0.25 * power) for power in range(5)])
    found = line.at(8.0)
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((0.25, 0.25, 0.25), abs=1e-9)
    assert line.root == pytest.approx(16.0)


def test_the_interval_is_that_of_a_prediction() -> None:
    """Checked by the textbook's formula at the mean: t * s * sqrt(1 + 1/n)."""
    line = fitted([(1.0, 1.0), (2.0, 2.5), (4.0, 2.5), (8.0, 4.0)])
    found = line.at(2**1.5)
    assert found is not None
    assert found.value == pytest.approx(2.5)
    residual = math.sqrt(0.45 / 2)  # the line is 1.15 + 0.9 x
    assert found.high - found.value == pytest.approx(4.302653 * residual * math.sqrt(1.25), rel=1e-5)


def test_beyond_what_was_fitted_it_is_said_and_far_beyond_nothing_is() -> None:
    most = gap_line().most
    inside, outside = expected_gap(most * 2600, 2600), expected_gap(2 * most * 2600, 2600)
    assert inside is not None
    assert outside is not None
    assert (inside.extrapolated, outside.extrapolated) == (False, True)
    assert outside.high - outside.low > inside.high - inside.low
    assert expected_gap(4.1 * most * 2600, 2600) is None
    assert expected_own(4.1 * own_line().most) is None


def test_more_training_helps_and_more_tokens_need_more() -> None:
    few, many = expected_gap(100_000, 2600), expected_gap(200_000, 2600)
    assert few is not None
    assert many is not None
    assert few.value > many.value
    assert tokens_to_meet(6000) == pytest.approx(2 * tokens_to_meet(3000))
    assert 1_000_000 < tokens_to_meet(6000) < 5_000_000, "some two hours of one core, as the log estimated"


def test_the_page_shows_the_lines_that_are_used() -> None:
    text = (ROOT / "docs" / "does-it-pay.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (\d+) % (more|less)[^\[]*\[(-?\d+), (\d+)\] \|$", text, flags=re.MULTILINE)
    assert len(rows) == 4
    for count, percent, more, low, high in rows:
        found = expected_gap(1000 * float(count), 1000)
        assert found is not None
        shown = (round(100 * found.value), round(100 * found.low), round(100 * found.high))
        assert shown == (int(percent) * (1 if more == "more" else -1), int(low), int(high))
    assert f"{gap_line().intercept:.3f} - {-gap_line().slope:.3f} log2(x)" in text
    assert f"{own_line().intercept:.3f} - {-own_line().slope:.4f} log2(x)" in text
    assert f"standard error {gap_line().residual:.3f}" in text
    assert f"standard error {own_line().residual:.3f}" in text
    assert 420 <= FURTHEST * gap_line().most < 430, "the last row of the table"
