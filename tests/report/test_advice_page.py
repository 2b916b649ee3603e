"""The page of `advise`: whole, escaped, with a plot for each thing that is known."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jp_adapt.model.expected_bits import Expected
from jp_adapt.report.advice import AdviceReport, AdviceRow
from jp_adapt.report.advice_page import advice_columns, advice_page, cells
from tests.pages import BalancedPage

ATTACK = "</script><img src=x onerror=alert(1)>"
OWN = AdviceRow(0, 0.8, 0, 1000, 800, bits=Expected(0.79, 0.7, 0.88, False))
EXTENDED = AdviceRow(500, 1.6, 12, 1000, 1600, bits=Expected(0.85, 0.75, 0.97, True))
REPORT = AdviceReport(ATTACK, 10, 1234, 5678, 10, [OWN, EXTENDED], 500, [ATTACK, "Second."], "a small model")


def test_the_page_is_whole_and_text_is_text() -> None:
    text = advice_page(REPORT)
    BalancedPage(text)
    assert ATTACK not in text
    assert text.count("<svg") == 3
    assert "0.85? [0.75, 0.97]" in text
    assert "<strong>500</strong>" in text
    assert "1,234 characters" in text


def test_columns_without_a_figure_are_left_out() -> None:
    assert [name for name, _ in advice_columns(REPORT)] == ["new tokens", "chars/token", "rare (below 10)", "chars read", "bits/char after, of before"]
    paid = replace(REPORT, rows=[OWN, replace(EXTENDED, training_cost=12.345)], currency="JPY", base_bits=4.0)
    assert [name for name, _ in advice_columns(paid)][-2:] == ["training JPY", "bits/char after, expected"]
    assert cells(paid, paid.rows[1])[-2] == "12.3"
    assert cells(paid, paid.rows[0])[-2] == "\u2013"


@pytest.mark.parametrize("rows", [[OWN], [OWN, replace(EXTENDED, bits=None)]])
def test_plots_of_what_is_known(rows: list[AdviceRow]) -> None:
    text = advice_page(replace(REPORT, rows=rows, recommended=0))
    assert text.count("<svg") == (0 if len(rows) == 1 else 2)
    assert "Do not extend" in text
