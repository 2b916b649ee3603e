"""The checks of M-IFEval for Japanese: an answer that follows the instruction, and one that does not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.benchmarks.checks import check_texts
from jp_adapt.evaluation.checks import japanese
from jp_adapt.evaluation.checks.functions import passed

CASES: list[tuple[str, dict[str, Any], str, str]] = [
    ("ja:keywords:existence", {"keywords": ["希望", "夢"]}, "夢と希望がある。", "夢がある。"),
    ("ja:keywords:existence", {"keywords": ["海"]}, "海へ行く。", "北海道へ行く。"),  # words, not characters
    ("ja:keywords:frequency", {"keyword": "猫", "frequency": 2, "relation": "以上"}, "猫は猫だ。", "猫だ。"),
    ("ja:keywords:forbidden_words", {"forbidden_words": ["雨"]}, "晴れた。", "雨だ。"),
    ("ja:keywords:letter_frequency", {"letter": "い", "let_frequency": 2, "let_relation": "以上"}, "いイ", "い"),
    ("ja:language:response_language", {"language": "th"}, "ขอบคุณมาก", "ありがとう"),
    ("ja:length_constraints:number_sentences", {"num_sentences": 3, "relation": "未満"}, "「来る？来ない？」と聞く。(はい。)それだけ。", "犬。猫！鳥？"),
    ("ja:length_constraints:number_sentences", {"num_sentences": 2, "relation": "以上"}, "犬\n猫", "犬の\n猫"),
    ("ja:length_constraints:number_paragraphs", {"num_paragraphs": 2}, "犬 *** 猫", "犬\n\n猫"),
    ("ja:length_constraints:number_letters", {"num_letters": 3, "relation": "未満"}, "犬。", "犬だ。"),
    ("ja:length_constraints:nth_paragraph_first_word", {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "愛"}, "犬\n\n「愛」だ", "犬\n\n恋だ"),
    ("ja:detectable_content:number_placeholders", {"num_placeholders": 1}, "[名前]様", "（名前）様"),
    ("ja:detectable_content:postscript", {"postscript_marker": "追伸"}, "では。\n追伸 犬", "では。"),
    ("ja:detectable_content:postscript", {"postscript_marker": "P.P.S."}, "では。\np.p.s. 犬", "では。\nP.S. 犬"),
    ("ja:detectable_format:number_bullet_lists", {"num_bullets": 2}, "・犬\n ・猫", "- 犬\n- 猫"),
    ("ja:detectable_format:number_numbered_lists", {"num_items": 2}, "1. 犬\n2. 猫", "1.犬\n2.猫"),
    ("ja:detectable_format:constrained_response", {}, "はい、そうです。", "はい。"),
    ("ja:detectable_format:number_highlighted_sections", {"num_highlights": 2}, "《犬》と《猫》", "《犬》と《 》"),
    ("ja:detectable_format:multiple_sections", {"section_spliter": "章", "num_sections": 2}, "第1章 犬\n第２章 猫", "第一章 犬\n第二章 猫"),
    ("ja:detectable_format:json_format", {}, '{"犬": 1}', "犬: 1"),
    ("ja:detectable_format:title", {}, "『犬』", "「犬」"),
    ("ja:detectable_format:nominal_ending", {"count": 2}, "美しい海。白い雲。", "海が美しい。「雲。」と言う。"),
    ("ja:combination:two_responses", {}, "犬******猫", "犬***猫"),
    ("ja:combination:repeat_prompt", {"prompt_to_repeat": "犬とは？"}, "犬とは？\n動物です。", "「犬とは？」動物です。"),
    ("ja:startend:end_checker", {"end_phrase": "終わり。"}, "「話は終わり。」", "終わり"),
    ("ja:startend:sentence_unified_end", {"ending": "です"}, "犬です。「猫だ。」です。", "犬です。猫だ。"),
    ("ja:startend:quotation", {}, "「犬です。」", "「犬」です。"),
    ("ja:letters:furigana", {}, "犬（いぬ）と猫（ねこ）", "犬（いぬ）と猫"),
    ("ja:letters:kansuuji", {}, "二匹の犬", "２匹の犬"),
    ("ja:letters:no_katakana", {}, "いぬ", "イヌ"),
    ("ja:letters:katakana_only", {}, "イヌ・ネコー。1", "イヌと"),
    ("ja:letters:no_hiragana", {}, "犬猫", "犬と猫"),
    ("ja:letters:hiragana_only", {}, "いぬー。1", "いぬト"),
    ("ja:letters:kanji", {"kanji_limit": 2, "relation": "以上"}, "犬と猫", "犬とねこ"),
    ("ja:punctuation:no_comma", {}, "犬 猫", "犬、猫"),
    ("ja:punctuation:no_period", {}, "犬", "犬。"),
]


@pytest.mark.parametrize(("name", "arguments", "good", "bad"), CASES)
def test_a_check_tells_good_from_bad(name: str, arguments: dict[str, Any], good: str, bad: str) -> None:
    checks = check_texts([name], [arguments])
    assert passed(good, checks) == [True]
    assert passed(bad, checks) == [False]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("犬。猫！ 鳥", ["犬。", "猫!", "鳥"]),
        ("犬。　\n\n猫。 ", ["犬。", "猫。"]),
        ("本当!?", ["本当!", "?"]),
        ("「行く。」と言う。", ["「行く。」と言う。"]),
        ("犬（いる？）と。", ["犬(いる?)と。"]),
        ("彼の\n犬。\nの\n猫", ["彼の犬。", "の", "猫"]),
        ("", []),
    ],
)
def test_sentences_end_where_ja_sentence_segmenter_ends_them(text: str, sentences: list[str]) -> None:
    """Version 0.0.2, in the pipeline that M-IFEval makes of it."""
    assert japanese.sentences(text) == sentences


@given(st.text(alphabet="犬猫のい。、！?「」『』（）()《》ア1 　\n*・第章", max_size=40))
def test_sentences_keep_every_character_but_spaces(text: str) -> None:
    whole = "".join(japanese.sentences(text))
    assert "".join(whole.split()) == "".join(text.translate(str.maketrans("！（）", "!()")).split())
    for name, arguments, *_ in CASES:
        assert passed(text, check_texts([name], [arguments]))[0] in (True, False)
