"""Learning-rate schedules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.training.schedule import lr_factor

FIXED = {"warmup_share": 0.1, "decay_share": 0.2, "final_share": 0.05}


@given(st.sampled_from(["cosine", "wsd", "linear"]), st.integers(1, 300))
def test_factor_rises_to_the_peak_and_falls_to_the_final_share(schedule, num_steps):
    factors = [lr_factor(step, num_steps, schedule=schedule, **FIXED) for step in range(num_steps)]
    assert all(0 < factor <= 1 for factor in factors)
    top = factors.index(max(factors))
    assert factors[: top + 1] == sorted(factors[: top + 1])
    assert factors[top:] == sorted(factors[top:], reverse=True)
    if num_steps >= 20:
        assert factors[-1] == pytest.approx(0.05)


def test_wsd_holds_the_peak_until_the_decay():
    factors = [lr_factor(step, 100, schedule="wsd", **FIXED) for step in range(100)]
    assert factors[10:80] == [1.0] * 70
    assert factors[85] < 1


def test_cosine_is_half_way_in_the_middle():
    factors = [lr_factor(step, 101, schedule="cosine", warmup_share=0.0, decay_share=0.2, final_share=0.0) for step in range(101)]
    assert factors[50] == pytest.approx(0.5)
