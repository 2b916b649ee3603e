"""The step `normalise`."""

from __future__ import annotations

from typing import get_args

from jp_adapt.corpus.normalise import Normalise, TableName
from jp_adapt.text.tables import ORDER


def test_changes_are_counted_by_table() -> None:
    outcome = Normalise()("ｶﾞｲﾄﾞ　3～5時\u00a0")
    assert outcome.text == "ガイド　3〜5時 "
    assert outcome.changes == {"half_width_kana": 3, "wave_dash": 1, "spaces": 1}


def test_a_recipe_may_name_every_table() -> None:
    assert get_args(TableName) == ORDER


def test_only_the_named_tables() -> None:
    step = Normalise(("full_width_ascii",))
    assert step("Ａ～ｱ\u00a0").text == "A~ｱ\u00a0"
