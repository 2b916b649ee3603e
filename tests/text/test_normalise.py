"""Japanese normalisation: each table does what its rows say, twice is as once, and what it must leave alone stays."""

from __future__ import annotations

import unicodedata
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.benchmarks.benchmark import Normaliser
from jp_adapt.text import normalise as tables
from jp_adapt.text.normalise import NORMALISERS, normalise

QA = ("nfkc", "dashes", "brackets", "quotes", "spaces", "case", "punctuation", "units", "number_commas")


def test_a_declaration_may_name_every_normaliser_and_no_other() -> None:
    assert set(get_args(Normaliser)) == NORMALISERS.keys()


@pytest.mark.parametrize("table", [tables.WIDTH, tables.DASHES, tables.BRACKETS, tables.QUOTES, tables.UNITS])
def test_every_row_has_a_reason(table: tuple[tuple[str, str, str], ...]) -> None:
    assert all(reason for _, _, reason in table)
    if table is not tables.UNITS:
        assert all(len(old) == len(new) for old, new, _ in table)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("１９６４年", "1964年"),
        ("ＡＢＣ", "abc"),
        ("スパイダーマン２", "スパイダーマン2"),
        ("ﾊﾝｶｸ", "ハンカク"),
        ("1964年〜1968年", "1964年～1968年"),
        ("A－B", "A-B"),
        ("A−B", "A–B"),
        ("「吾輩は猫である」", "『吾輩は猫である』"),
        ("「吾輩は猫である」", "吾輩は猫である"),
        ("東京。", "東京"),
        ("東京 タワー", "東京タワー"),
        ("東京\u3000タワー", "東京タワー"),
        ("12,345人", "12345人"),
        ("１２，３４５人", "12345人"),
        ("50パーセント", "50%"),
        ("３キログラム", "3kg"),
        ("J・K・ローリング", "J・K・ローリング。"),
        ("(株)", "（株）"),
    ],
)
def test_two_spellings_of_one_answer(left: str, right: str) -> None:
    assert normalise(left, QA) == normalise(right, QA)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("1,23", "123"),
        ("東京", "京都"),
        ("New York", "NewYork"),
        ("カード", "ガード"),
        ("メートル法", "m法"),
        ("1.5", "15"),
        ("1、234", "1234"),
        ("100、200個", "100200個"),
    ],
)
def test_two_answers_stay_two(left: str, right: str) -> None:
    assert normalise(left, QA) != normalise(right, QA)


@given(st.text(max_size=40))
def test_nfkc_is_unicodes_own(text: str) -> None:
    assert normalise(text, ["nfkc"]) == unicodedata.normalize("NFKC", text)


@given(st.text(alphabet=st.sampled_from("あア亜1１,，.。-－「」『 　aＡ%パーセント三十万点〇"), max_size=20), st.sampled_from(sorted(NORMALISERS)))
def test_twice_is_as_once(text: str, name: str) -> None:
    once = normalise(text, [name])
    assert normalise(once, [name]) == once


def test_numbers_in_kanji_are_digits_and_words_are_words() -> None:
    assert normalise("三百二十個と1.5万円、一般に四国", ["kanji_numerals"]) == "320個と15000円、一般に四国"
