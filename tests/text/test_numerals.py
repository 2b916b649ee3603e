"""The number reader: values of what was written, in every spelling; words that hold numeral characters count nothing; a text is read in its own time."""

from __future__ import annotations

import itertools
import math
import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.text.numerals import first_number, last_number, number_text, read_numbers, replace_numerals, without_grouping
from tests.properties import examples
from tests.text.spelling import in_a_sentence, in_kanji


def values(text: str) -> list[str]:
    return [number_text(number.value) for number in read_numbers(text)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1万8000ドル", "18000"), ("３万５千円", "35000"), ("1.5万円", "15000"), ("2千300人", "2300"), ("3千円", "3000"), ("5百個", "500"),
        ("１億2,000万円", "120000000"), ("1千万円", "10000000"), ("5万3,000円", "53000"),
        ("18個で十分です", "18"), ("40ドルです。一応の確認", "40"), ("12本が一番多い", "12"), ("答えは12個です。万が一", "12"), ("それぞれ100、200個", "200"),
        ("３．５", "3.5"), ("類似度は３．２", "3.2"), ("三", "3"), ("三点五", "3.5"), ("-1", "-1"),
        # the same kinds, other values
        ("3億5千万円", "350000000"), ("2.5億", "250000000"), ("４千５百円", "4500"), ("1兆2345億6789万", "1234567890000"), ("12万3千4百5十6円", "123456"),
        ("15百万円", "15000000"), ("1,234千円", "1234000"), ("3 万円", "30000"), ("1億 2000万", "120000000"), ("二〇二四年", "2024"), ("二○二四年", "2024"),
        ("一二〇万人", "1200000"), ("一万二三四五円", "12345"), ("三千〇五", "3005"), ("千二百三十四", "1234"), ("廿一", "21"), ("一，二三四円", "1234"),
        ("金壱百弐拾参萬円也", "1230000"), ("参拾萬円", "300000"), ("弐千五百円", "2500"),
        ("参人", "3"), ("五阡壱佰匹", "5100"), ("伍百円", "500"), ("１，２３４．５", "1234.5"), ("1{,}000", "1000"),
        ("三・五倍", "3.5"), ("ゼロコンマ五", "0.5"), ("0コンマ25秒", "0.25"), ("3点5", "3.5"), ("十点五", "10.5"), (".5", "0.5"), ("ゼロです", "0"),
        ("マイナス三点五", "-3.5"), ("－３", "-3"), ("−5", "-5"), ("△1,234", "-1234"), ("▲５", "-5"), ("答えは-5", "-5"), ("気温-5度", "-5"), ("100〜-5", "-5"),
        ("1/2", "0.5"), ("2と1/2", "2.5"), ("2 1/2", "2.5"), ("2½", "2.5"), ("-2と1/2", "-2.5"),
        ("3分の2", "2/3"), ("三分の一", "1/3"), ("十分の一", "0.1"), ("それは十二分の三十五で、", "35/12"), ("(答) 十二分の十五。一番多い。", "1.25"),
        ("\\frac{3}{4}", "0.75"),
        ("1.5×10^4", "15000"), ("1.2e3", "1200"), ("③", "3"), ("\\boxed{18}", "18"),
        ("$18", "18"), ("USD18", "18"), ("No.5", "5"), ("5x3", "3"), ("2.50", "2.5"),
        ("三百二十一番です", "321"), ("二十一人", "21"), ("三本", "3"), ("十円", "10"),
        ("一人", "1"), ("千歳と3千歳", "3000"), ("十分後に", "10"), ("約一万円", "10000"),
    ],
)  # fmt: skip
def test_the_last_number_is_what_was_written(text: str, value: str) -> None:
    number = last_number(text)
    assert number is not None
    assert number_text(number.value) == value


@pytest.mark.parametrize(
    "text",
    [
        *("一応", "一番多い", "十分です", "万が一", "一緒に", "一般に", "一部", "一方"),
        *("統一する", "唯一の", "一定", "一致", "一気に", "一切", "一見", "一覧", "万一"),
        *("三角形", "四角い", "五角形", "四捨五入する", "二等辺三角形", "二酸化炭素", "二次関数", "十進法", "もう一度", "二度とない", "一人一人に", "一つ一つ"),
        *("千葉県", "四国と九州", "三重県", "五十嵐さん", "三井と三菱", "浩一と健二", "一郎"),
        *("六本木", "八王子", "千代田区", "八百屋", "百足", "一段と高い", "千歳市", "百貨店", "百科事典", "百合", "七夕"),
        *("一石二鳥", "十中八九", "四六時中", "三々五々", "五里霧中", "四苦八苦", "千差万別"),
        *("一生懸命", "百人一首", "七五三の祝い", "十字路", "万能", "億劫", "京都"),
        *("参加する", "持参した", "上陸する", "拾う", "漆を塗る", "壱岐", "数十人", "何百人", "十数人", "何人", "ゼロックス", "二人三脚"),
        *("H2O", "CO2", "A4", "MP3", "cm2", "GPT-4", "B-29", "COVID-19", "Ａ４", "abc_12", ""),
    ],
)  # fmt: skip
def test_a_word_is_no_number(text: str) -> None:
    assert values(text) == []
    assert values(f"答えは18です。{text}。") == ["18"]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("100〜200", ["100", "200"]), ("3-5", ["3", "5"]), ("10〜２０万", ["10", "200000"]), ("100、200個", ["100", "200"]), ("1､2", ["1", "2"]),
        ("1,23", ["1", "23"]), ("1,2345", ["1", "2345"]), ("1234,567", ["1234", "567"]), ("12,34,56", ["12", "34", "56"]), ("0,123", ["0", "123"]),
        ("1.2.3", ["1", "2", "3"]), ("1.23.4", ["1", "23", "4"]), ("2024/3/15", ["2024", "3", "15"]), ("2024-01-15", ["2024", "1", "15"]),
        ("10-3=7", ["10", "3", "7"]), ("100円-50円", ["100", "50"]), ("3つ-2つ", ["3", "2"]), ("10マイナス3", ["10", "3"]), ("5度から-3度", ["5", "-3"]),
        ("二、三個", ["2", "3"]), ("二三千円", ["2", "3000"]), ("五六百", ["5", "600"]), ("百五六十", ["100", "5", "60"]), ("3万4万", ["30000", "40000"]),
        ("四十十分です", ["40"]), ("40十分です", ["40"]), ("一・二年生", ["1", "2"]), ("一・二・三", ["1", "2", "3"]), ("80点5人", ["80", "5"]),
        ("120/4=30", ["120", "4", "30"]), ("33 × 210/100", ["33", "210", "100"]), ("210 / 100", ["210", "100"]), ("5cm2で3枚", ["5", "3"]),
        ("①5個②3個", ["1", "5", "2", "3"]), ("12:30", ["12", "30"]), ("- 5個", ["5"]), ("3kg-5kg", ["3", "5"]), ("x-5", ["5"]), ("千二三", ["1000", "23"]),
        ("1万と8000", ["10000", "8000"]), ("三千五千", ["3000", "5000"]), ("一点五点", ["1", "5"]),
        ("百点三人", ["100", "3"]), ("0分の1", ["0", "1"]), ("\\frac{1}{0}", ["1", "0"]), ("1e999", ["1"]),
    ],
)  # fmt: skip
def test_several_numbers_stay_apart(text: str, numbers: list[str]) -> None:
    assert values(text) == numbers


def test_random_numbers_in_all_spellings() -> None:
    """`python -m tests.perf number_reader` does it with 100,000 of them."""
    rng = random.Random(20261129)
    spellings = set()
    for _ in range(1500):
        text, spelled = in_a_sentence(rng)
        number = last_number(text)
        assert number is not None, (text, spelled)
        assert number.value == spelled.value, (text, spelled)
        assert text[number.start : number.end] == spelled.text
        spellings.add(spelled.spelling.partition(",")[0])
    assert len(spellings) == 11  # thousands in full width are one with full width here


@examples(200)
@given(st.integers(min_value=0, max_value=10**16 - 1))
def test_a_number_in_kanji_reads_back(number: int) -> None:
    assert values(in_kanji(number)) == [str(number)]


@examples(300)
@given(st.text(alphabet=st.sampled_from("一二十百千万億〇零点・分の参壱拾0１5,，.．-−△/ 　\\frac{}eE×^と個円年十分A〜、。ゼロ①½\x00\ud800"), max_size=30))
def test_any_text_is_read(text: str) -> None:
    numbers = read_numbers(text)
    assert all(0 <= number.start < number.end <= len(text) for number in numbers)
    assert all(left.end <= right.start for left, right in itertools.pairwise(numbers))
    assert [first_number(text), last_number(text)] == ([numbers[0], numbers[-1]] if numbers else [None, None])
    assert all(Fraction(number_text(number.value)) == number.value for number in numbers)
    assert all(math.isfinite(float(number.value)) for number in numbers)


@pytest.mark.parametrize(
    "unit",
    [
        "9",
        "9,999,",
        "9.",
        "九",
        "十",
        "一万",
        "二、",
        "1/",
        "分の",
        "1分の",
        "-",
        "△",
        "点五",
        "一点",
        "①",
        "\\frac{1}{",
        "A1",
        "参",
        "もう一",
        "1e9",
        "2×10^9 ",
    ],
)
def test_long_answers_take_no_more_than_their_length(unit: str) -> None:
    text = unit * (6_000 // len(unit))
    for number in read_numbers(text):  # a pattern that backtracks would not come to an end
        float(number.value)
    replace_numerals(text)
    without_grouping(text)


def test_a_loop_of_digits_is_a_number_and_not_the_one_before_it() -> None:
    for loop in ("4" * 5000, "4" * 295 + "京", "四" * 5000):
        number = last_number("答えは18、" + loop)
        assert number is not None
        assert float(number.value) == 1e300


@pytest.mark.parametrize(
    ("text", "out"),
    [
        ("答えは三百二十です", "答えは320です"), ("3万円", "30000円"), ("1.5万", "15000"), ("一般に二つある", "一般に2つある"), ("四国と九州", "四国と九州"),
        ("万一に備える", "万一に備える"), ("三点五", "3.5"), ("マイナス三", "マイナス3"),
        ("三分の二", "3分の2"), ("二三千円", "二三千円"), ("5三", "5三"), ("1,234", "1,234"),
        ("三人", "3人"), ("弐拾円", "20円"), ("①", "①"), ("1点三", "1点三"), ("一点3", "一点3"), ("80点五人", "80点5人"),
    ],
)  # fmt: skip
def test_numbers_in_kanji_become_digits_and_words_stay(text: str, out: str) -> None:
    assert replace_numerals(text) == out


@pytest.mark.parametrize(
    ("text", "out"),
    [
        ("1,234円", "1234円"),
        ("１，２３４", "１２３４"),
        ("12,345.6", "12345.6"),
        ("1,23", "1,23"),
        ("1、234", "1、234"),
        ("1,2345", "1,2345"),
        ("東京,大阪", "東京,大阪"),
    ],
)
def test_only_the_commas_of_thousands_go(text: str, out: str) -> None:
    assert without_grouping(text) == out
