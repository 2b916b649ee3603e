"""Words and phrases as UniDic cuts them."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jp_adapt.text.morphology import count_words, phrases, words
from jp_adapt.tokenizer.words import Corpus
from tests.conftest import documents
from tests.properties import examples


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("", 0),
        (" \n\n　\n", 0),
        ("今日は良い天気です。", 6),  # 今日 は 良い 天気 です 。
        ("猫が鳴く", 3),
        ("猫が鳴く\n猫が鳴く\r\n\n猫が鳴く", 9),
        ("read two books", 3),
    ],
)
def test_count(text: str, number: int) -> None:
    assert count_words(text) == number


def test_a_line_break_is_a_word_break() -> None:
    assert count_words("学\n校") == 2
    assert count_words("学校") == 1


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ("今日は良い天気です。", ["今日", "は", "良い", "天気", "です", "。"]),
        (" を呼ぶ", [" を", "呼ぶ"]),
        ("猫", ["猫"]),
        ("", []),
    ],
)
def test_words(run: str, expected: list[str]) -> None:
    assert words(run) == expected


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ("今日は良い天気です。", ["今日は", "良い", "天気です。"]),
        ("お茶を飲みました。", ["お茶を", "飲みました。"]),  # the prefix opens, the endings lean
        (" を呼ぶ", [" を", "呼ぶ"]),
        ("。猫が", ["。", "猫が"]),
        ("", []),
    ],
)
def test_phrases(run: str, expected: list[str]) -> None:
    assert phrases(run) == expected


# A run as `words.Corpus` finds it: Japanese characters, with one leading space or without.
KANA = "あいうがぎばぱんっゃをにはー"
runs = st.builds(
    lambda space, text: space + text,
    st.sampled_from(["", " "]),
    st.text(
        alphabet=st.one_of(
            st.sampled_from(KANA + "アイウヴッー漢字日本語東京猫犬走飲美。、「」・ー々〆ヶ〇１２ＡａＺ！？（）￥～｡｢｣､･ｱｶﾞﾊﾟゝヽ゛゜〜〒㈱㌔𠮷"),
            st.characters(min_codepoint=0x3041, max_codepoint=0x3096),
            st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF),
            st.characters(min_codepoint=0xFF01, max_codepoint=0xFF9F),
            st.sampled_from("\u3099\u309a\u303f𩸽𰻞豈"),
        ),
        min_size=1,
        max_size=20,
    ),
)


@examples(300)
@given(runs)
@example(" 日本")
@example("か\u3099き\u3099")
@example("１２３４")
@example("ｶﾞｷﾞ")
@example("日" * 1000)
def test_joined_they_are_the_run(run: str) -> None:
    assert "".join(words(run)) == run
    assert "".join(phrases(run)) == run


@examples(100)
@given(runs)
def test_phrases_are_whole_words(run: str) -> None:
    ends, at = set(), 0
    for word in words(run):
        at += len(word)
        ends.add(at)
    at = 0
    for phrase in phrases(run):
        at += len(phrase)
        assert at in ends


def test_the_runs_of_real_text() -> None:
    corpus = Corpus()
    corpus.add("quickstart", documents("ja_train.jsonl")[:40])
    for run in corpus.runs[0]:
        assert "".join(words(run)) == "".join(phrases(run)) == run
