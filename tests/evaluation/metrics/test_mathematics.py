"""Answers of mathematics problems that are the same, and that are not."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.evaluation.metrics.mathematics import math_match

SAME = [
    (r"\frac12", "0.5"),
    (r"\dfrac{1}{2}", "1/2"),
    (r"\frac{1}{2}", r"\tfrac{2}{4}"),
    (r"\frac{\frac{1}{2}}{3}", "1/6"),
    (r"-\frac{3}{4}", "-0.75"),
    ("$10{,}000$", "10000"),
    ("12,345", "12345"),
    (r"\left( 1, 2 \right)", "(1,2)"),
    (r"90^\circ", "90"),
    (r"90^{\circ}", "90"),
    (r"50\%", "50"),
    (r"\$5", "5"),
    (r"x=5", "5"),
    (r"\text{east}", "east"),
    (r"2\sqrt3", r"2\sqrt{3}"),
    ("2^3", "8"),
    (r"3 \cdot 4", "12"),
    ("1.0", "1"),
    ("5-3", "2"),
    ("5-1-1", "3"),
    ("8/2/2", "2"),
    ("(1+2)*3", "9"),
    ("-(2+1)", "-3"),
    ("-2^2", "-4"),
    ("5。", "5"),
]
DIFFERENT = [("", ""), ("1/2", "1/3"), ("(1,2)", "(2,1)"), ("12", "1,2"), (r"\sqrt{2}", "2"), ("1/0", "1"), ("x", "y"), ("9" * 40, "1"), ("2^99", "1")]


@pytest.mark.parametrize(("left", "right"), SAME)
def test_the_same_answer_in_two_forms(left: str, right: str) -> None:
    assert math_match(left, right) == math_match(right, left) == 1.0


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_two_different_answers(left: str, right: str) -> None:
    assert math_match(left, right) == math_match(right, left) == 0.0


@given(st.fractions(max_denominator=99, min_value=-99, max_value=99))
def test_a_fraction_is_itself_in_every_form(value: Fraction) -> None:
    sign, numerator = "-" if value < 0 else "", abs(value.numerator)
    forms = [
        f"{value.numerator}/{value.denominator}",
        f"{sign}\\frac{{{numerator}}}{{{value.denominator}}}",
        f"${sign}\\dfrac{{{2 * numerator}}}{{{2 * value.denominator}}}$",
    ]
    assert all(math_match(form, forms[0]) == 1.0 for form in forms)
    assert math_match(forms[1], f"{value + 1}") == 0.0


@given(st.text(alphabet=r"\fracsqt{}()[]^_+-*/=0123456789.,$%xyπ 度", max_size=40))
def test_any_text_is_itself_or_empty(text: str) -> None:
    assert math_match(text, text) in (0.0, 1.0)
    assert math_match(text, "1") in (0.0, 1.0)
