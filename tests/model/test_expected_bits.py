"""The two fits that `advise` expects bits per character by: fitted to the figures of the log, and no further than those carry."""

from __future__ import annotations

import math
import re

import pytest

from jp_adapt.model.expected_bits import (
    FAST,
    FAST_FEW,
    FAST_MANY,
    FURTHEST,
    QUALITY,
    SLOW,
    SLOW_FEW,
    SLOW_MANY,
    SLOW_MIDDLE,
    Training,
    expected_gap,
    expected_own,
    fitted,
    gap_fit,
    own_fit,
    tokens_to_meet,
)
from tests.conftest import ROOT


def test_the_points_are_those_of_the_log() -> None:
    text = (ROOT / "docs" / "log.md").read_text(encoding="utf-8")
    rows = {name: re.search(rf"^\| {name} \|(.*)\|$", text.split("| ja bits/char at minute |")[1], flags=re.MULTILINE) for name in ("base", "ours")}
    base, ours = ([float(cell) for cell in row.group(1).split("|")][1:] for row in rows.values() if row)
    assert [(own, extended) for _, own, extended in QUALITY.points] == list(zip(base, ours, strict=True))[3:], "from minute 12 on"
    assert f"| {QUALITY.extended_tokens:,} |" in text
    assert f"| {QUALITY.own_tokens:,} |" in text


def rows_of(section: str) -> dict[str, list[float]]:
    """The rows of figures in a section of the log, by their first cell."""
    text = (ROOT / "docs" / "log.md").read_text(encoding="utf-8").split(f"\n## {section}")[1].split("\n## ")[0]
    rows = re.findall(r"^\| ([^|]+) \|((?: [*\d.,]+ \|)+)$", text, flags=re.MULTILINE)
    return {name: [float(cell.strip(" *").replace(",", "")) for cell in cells.rstrip("|").split("|")] for name, cells in rows}


def points_of(training: Training) -> list[float]:
    return [extended for _, _, extended in training.points]


def test_the_whitened_ones_are_those_of_the_log() -> None:
    fast = rows_of("2026-11-30: rows that are whitened")
    assert fast["0 (above)"] == [*FAST, 0.905, FAST_FEW.own_tokens]
    for name, training in (("400", FAST_FEW), ("6,000", FAST_MANY)):
        assert fast[name] == [*points_of(training), fast[name][3], training.extended_tokens]
    slow = rows_of("2026-12-01: few new tokens or many once more")
    assert slow["base"][1:5] == [SLOW_FEW.own_tokens, SLOW_FEW.untrained, *SLOW]
    for name, training in (("500", SLOW_FEW), ("2,000", SLOW_MIDDLE), ("6,000", SLOW_MANY)):
        assert [slow[name][1], *slow[name][3:5]] == [training.extended_tokens, *points_of(training)]


def test_a_plane_that_holds_exactly_is_found_and_has_no_width() -> None:
    fit = fitted([((2.0**x, 2.0**y), 1.0 - 0.25 * x + 0.5 * y) for x in range(5) for y in range(3)])
    found = fit.at(8.0, 2.0)
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((0.75, 0.75, 0.75), abs=1e-9)
    assert fit.coefficients == pytest.approx((1.0, -0.25, 0.5))


def test_the_interval_is_that_of_a_prediction() -> None:
    """Checked by the textbook's formula at the mean: t * s * sqrt(1 + 1/n)."""
    fit = fitted([((1.0,), 1.0), ((2.0,), 2.5), ((4.0,), 2.5), ((8.0,), 4.0)])
    found = fit.at(2**1.5)
    assert found is not None
    assert found.value == pytest.approx(2.5)
    residual = math.sqrt(0.45 / 2)  # the line is 1.15 + 0.9 x
    assert found.high - found.value == pytest.approx(4.302653 * residual * math.sqrt(1.25), rel=1e-5)


def test_beyond_what_was_fitted_it_is_said_and_far_beyond_nothing_is() -> None:
    (_, most), (fewest, _) = gap_fit().bounds
    inside, outside = expected_gap(most, 2600), expected_gap(2 * most, 2600)
    assert inside is not None
    assert outside is not None
    assert (inside.extrapolated, outside.extrapolated) == (False, True)
    assert outside.high - outside.low > inside.high - inside.low
    assert expected_gap(4.1 * most, 2600) is None
    assert expected_gap(most, int(fewest / 4.1)) is None, "so few new tokens"
    assert expected_own(4.1 * own_fit().bounds[0][1]) is None


def test_more_training_helps() -> None:
    few, many = expected_gap(100_000, 2600), expected_gap(200_000, 2600)
    assert few is not None
    assert many is not None
    assert few.value > many.value
    assert 5_000_000 < tokens_to_meet(500) < tokens_to_meet(6000) < 20_000_000, "fewer new tokens are level sooner"
    level = gap_fit().coefficients[0] + gap_fit().coefficients[1] * math.log2(tokens_to_meet(1500)) + gap_fit().coefficients[2] * math.log2(1500)
    assert level == pytest.approx(0.0, abs=1e-9)


def test_the_page_shows_the_lines_that_are_used() -> None:
    text = (ROOT / "docs" / "does-it-pay.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\d,]+)(?:, by extrapolation)? ((?:\| \d+ % more \[-?\d+, \d+\] )+)\|$", text, flags=re.MULTILINE)
    assert len(rows) == 4
    for tokens, cells in rows:
        for new_tokens, cell in zip((500, 2000, 6000), cells.strip("| ").split(" | "), strict=True):
            found = expected_gap(int(tokens.replace(",", "")), new_tokens)
            assert found is not None
            assert cell == f"{100 * found.value:.0f} % more [{100 * found.low:.0f}, {100 * found.high:.0f}]"
    level, by_tokens, by_size = gap_fit().coefficients
    assert f"{level:.3f} - {-by_tokens:.4f} log2(tokens) + {by_size:.4f} log2(new tokens)" in text
    level, by_tokens = own_fit().coefficients
    assert f"{level:.3f} - {-by_tokens:.4f} log2(tokens)" in text
    assert f"standard error {gap_fit().residual:.3f}" in text
    assert f"standard error {own_fit().residual:.3f}" in text
    assert 2_500_000 <= FURTHEST * gap_fit().bounds[0][1] < 2_600_000, "the last row of the table"
