"""Japanese normalisation: each table does what its rows say, twice is as once, and what it must leave alone stays."""

from __future__ import annotations

import unicodedata
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.benchmarks.benchmark import Normaliser
from jp_adapt.text import normalise as tables
from jp_adapt.text.normalise import NORMALISERS, kanji_number, normalise, replace_kanji_numbers

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
        ("50パーセント", "50%"),
        ("３キログラム", "3kg"),
        ("J・K・ローリング", "J・K・ローリング。"),
        ("(株)", "（株）"),
    ],
)
def test_two_spellings_of_one_answer(left: str, right: str) -> None:
    assert normalise(left, QA) == normalise(right, QA)


@pytest.mark.parametrize(
    ("left", "right"), [("1,23", "123"), ("東京", "京都"), ("New York", "NewYork"), ("カード", "ガード"), ("メートル法", "m法"), ("1.5", "15")]
)
def test_two_answers_stay_two(left: str, right: str) -> None:
    assert normalise(left, QA) != normalise(right, QA)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("〇", 0), ("十", 10), ("十二", 12), ("二十", 20), ("百", 100), ("三百二十", 320), ("千九百六十四", 1964), ("一万", 10_000), ("三百二十万", 3_200_000),
        ("一億二千万", 120_000_000), ("二〇二四", 2024), ("一二三", 123), ("", None), ("二三十", None), ("a", None),
    ],
)  # fmt: skip
def test_the_value_of_a_kanji_number(text: str, value: int | None) -> None:
    assert kanji_number(text) == value


@given(st.integers(min_value=0, max_value=99_999_999))
def test_a_number_written_in_kanji_reads_back(number: int) -> None:
    assert kanji_number(_in_kanji(number)) == number


def _in_kanji(number: int) -> str:
    """Reference: the usual way to write a number below a hundred million."""

    def below(value: int) -> str:
        parts = ""
        for size, name in ((1000, "千"), (100, "百"), (10, "十")):
            digit, value = divmod(value, size)
            parts += ("" if digit == 1 else "〇一二三四五六七八九"[digit]) + name if digit else ""
        return parts + ("〇一二三四五六七八九"[value] if value else "")

    high, low = divmod(number, 10_000)
    return ((below(high) + "万" if high else "") + below(low)) or "〇"


@pytest.mark.parametrize(
    ("text", "out"),
    [
        ("答えは三百二十です", "答えは320です"),
        ("3万円", "30000円"),
        ("一般に二つある", "一般に2つある"),
        ("四国と九州", "四国と九州"),
        ("万一に備える", "万一に備える"),
    ],
)
def test_numbers_in_kanji_become_digits_and_words_stay(text: str, out: str) -> None:
    assert replace_kanji_numbers(text) == out


@given(st.text(max_size=40))
def test_nfkc_is_unicodes_own(text: str) -> None:
    assert normalise(text, ["nfkc"]) == unicodedata.normalize("NFKC", text)


@given(st.text(alphabet=st.sampled_from("あア亜1１,，.。-－「」『 　aＡ%パーセント"), max_size=20), st.sampled_from(sorted(NORMALISERS)))
def test_twice_is_as_once(text: str, name: str) -> None:
    once = normalise(text, [name])
    assert normalise(once, [name]) == once
