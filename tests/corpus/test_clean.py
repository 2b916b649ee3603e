"""Steps that mend a text: what they repair, what they leave alone, and that doing it twice changes nothing more."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.corpus.clean import MaskPersonal, RepairDecoding, StripMarkup
from jp_adapt.corpus.language import KeepLanguage, language_of
from jp_adapt.corpus.normalise import Normalise
from jp_adapt.corpus.quality import Quality
from jp_adapt.corpus.steps import Step
from jp_adapt.text.personal import is_my_number
from tests.conftest import documents
from tests.properties import examples

STEPS: list[Step] = [RepairDecoding(), Normalise(), StripMarkup(), MaskPersonal(), KeepLanguage(), Quality()]
TEXT = "日本語の文章を、正しく読み書きするための試験です。ソフトウェアの説明書にもよく出てくる言葉を並べました。"
PIECES = st.sampled_from([*"あガか゛ﾊﾟｶﾞー～〜１Ａa \t\u3000\n。<>&é\u3099\u200b\ufe00葛神⼀\r\x0b\ufffd縺ã", "<p>", "</p>", "[[", "]]", "a@b.jp", "```\n"])


@examples(200)
@given(st.lists(PIECES, max_size=40).map("".join))
def test_a_second_time_changes_nothing(text: str) -> None:
    for step in (RepairDecoding(), Normalise(), MaskPersonal()):
        once = step(text).text
        if once is not None:
            assert step(once).text == once, step.name


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("utf-8", "latin-1"), ("utf-8", "cp932"), ("cp932", "latin-1"), ("euc_jp", "latin-1"), ("euc_jp", "cp932")],
)
def test_mojibake_with_a_way_back_is_repaired_exactly(right: str, wrong: str) -> None:
    for text in [TEXT[:24], TEXT]:
        try:
            broken = text.encode(right).decode(wrong)
        except UnicodeDecodeError:
            broken = ""
        if broken:
            outcome = RepairDecoding()(broken)
            assert outcome.text == text
            assert outcome.changes == {"repaired": 1}


def test_twice_wrong_and_one_wrong_line_are_repaired() -> None:
    twice = TEXT.encode().decode("latin-1").encode().decode("latin-1")
    assert RepairDecoding()(twice).text == TEXT
    line = TEXT.encode().decode("latin-1")
    assert RepairDecoding()(f"{TEXT * 3}\n{line}\n{TEXT}").text == f"{TEXT * 3}\n{TEXT}\n{TEXT}"


@pytest.mark.parametrize("broken", ["日本語", "東京都千代田区", "文字化け"])
def test_a_run_within_a_good_line_and_kanji_alone_are_repaired(broken: str) -> None:
    for text in (broken.encode().decode("latin-1"), broken.encode().decode("latin-1").encode().decode("latin-1")):
        for around in ("", TEXT):
            outcome = RepairDecoding()(around + text + around)
            assert (outcome.text, set(outcome.changes)) == (around + broken + around, {"repaired"})


def test_damage_is_kept_and_counted_where_asked() -> None:
    broken = TEXT.encode("cp932").decode("utf-8", errors="replace")
    kept = RepairDecoding(on_damage="keep")(broken)
    assert (kept.text, kept.changes["damaged"]) == (broken, broken.count("\ufffd"))
    assert RepairDecoding()("\ue000 ホーム").text == "\ue000 ホーム"
    french = "« Déjà vu », dit-il à l’été\u00a0: « café\u00a0» — ‘naïve’"
    assert RepairDecoding()(french).text == french


@pytest.mark.parametrize("wrong", ["utf-8", "cp1252"])
def test_what_is_lost_is_dropped_and_not_guessed(wrong: str) -> None:
    raw = TEXT.encode("cp932" if wrong == "utf-8" else "utf-8")
    assert RepairDecoding()(raw.decode(wrong, errors="replace")).reason == "mojibake without a way back"


@pytest.mark.parametrize(
    "text",
    [
        "Ein Überblick über die Größe: naïve façade, 30 °C, ±5 µm",
        "Ёлка и снег",
        "中华人民共和国",
        "한국어 문서",
        "文字化けの例として「ã」や「縺」が出る。" + TEXT,
    ],
)
def test_other_scripts_are_no_mojibake(text: str) -> None:
    assert RepairDecoding()(text).text == text


def test_good_documents_stay_as_they_are() -> None:
    for text in documents("ja_train.jsonl"):
        for step in STEPS:
            outcome = step(text)
            assert outcome.text is not None, (step.name, outcome.reason, text[:80])
        assert RepairDecoding()(text).text == text


def test_markup_goes_and_code_stays() -> None:
    page = "<html><head><title>x</title></head><body><div class='a'><p>一つ&amp;二つ</p><p>三つ<br>四つ</p></div><script>f()</script></body></html>"
    assert StripMarkup()(page).text == "一つ&二つ\n\n三つ\n四つ"
    code = "説明です。\n```html\n<div><p>あ</p></div><div><p>い</p></div>\n```\nと書きます。`<br>` は改行。"
    assert StripMarkup()(code).text == code
    assert StripMarkup()("見出し\nページの先頭へ戻る\n本文です。").text == "見出し\n本文です。"
    assert StripMarkup()("[[東京|首都]]は'''大きい'''。{{出典}}[[大阪]]も。").text == "首都は大きい。大阪も。"
    assert StripMarkup()("<div><br><br/></div>").reason == "nothing but markup"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("連絡は taro.yamada@mail.co.jp まで", "連絡は <EMAIL> まで"),
        ("例: user@example.com", "例: user@example.com"),
        ("電話03-1234-5678、(06)1234-5678、09012345678", "電話<PHONE>、<PHONE>、<PHONE>"),
        ("2024-01-02 は 1-2-3 でも 0.1234-5 でもない", "2024-01-02 は 1-2-3 でも 0.1234-5 でもない"),
        ("番号は123456789018です", "番号は<MY_NUMBER>です"),
        ("番号は1234-5678-9018です", "番号は<MY_NUMBER>です"),
        ("番号は123456789012です", "番号は123456789012です"),
    ],
)
def test_personal_information(text: str, masked: str) -> None:
    assert MaskPersonal()(text).text == masked


def test_one_check_digit_of_ten_is_right() -> None:
    for number in (0, 12345678901, 98765432109, 31415926535):
        assert sum(is_my_number(f"{number:011d}{digit}") for digit in range(10)) == (number != 0)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (TEXT, "ja"),
        ("This is a page in English, with nothing else.", "en"),
        ("这是一个用中文写的网页，没有假名。", "zh"),
        ("한국어로 쓴 문서입니다.", "ko"),
        ("12345 67890", "other"),
        ("用の分析结果显示，数据库系统性能良好，值得推荐给大家使用。", "zh"),
    ],
)
def test_language(text: str, language: str) -> None:
    assert language_of(text) == language


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("短い。", "too short"),
        ("激安通販 送料無料 最安値 ブランド財布 人気ランキング 限定セール" * 3, "spam words"),
        ("今日はよい天気です。" * 200, "repeated n-grams"),
        ("\n".join(f"記事の{number}番目の見出しはここまでで続きは…" for number in range(9)), "unfinished lines"),
        ("あの言葉が出てくる文書はここで捨てられることになっています。", "banned word"),
    ],
)
def test_quality_bounds(text: str, reason: str) -> None:
    assert Quality(banned=("あの言葉",))(text).reason == reason


@pytest.mark.parametrize("step", STEPS)
def test_steps_travel_to_other_processes(step: Step) -> None:
    assert pickle.loads(pickle.dumps(step))(TEXT) == step(TEXT)  # noqa: S301


@examples(300)
@given(
    st.lists(st.sampled_from(["今日はよい天気です。", "明日は雨が降るそうだ。", "あいうえおかきくけこさしすせそ", "x", "山"]), max_size=40),
    st.sampled_from([0.2, 0.5, 0.8, 1.0]),
)
def test_the_share_of_repeated_ngrams_is_that_of_all_of_them(parts: list[str], bound: float) -> None:
    text = "".join(parts)
    grams = [text[start : start + 10] for start in range(len(text) - 9)]
    repeated = len(text) >= 100 and (len(grams) - len(set(grams))) / (len(grams) - 1) > bound
    assert (Quality(max_repeated=bound)._repetition(text) != "") == repeated
