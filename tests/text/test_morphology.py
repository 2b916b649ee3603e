"""Words and phrases as UniDic cuts them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jp_adapt.text.morphology import MAX_PIECE_CHARS, count_words, phrases, pieces, tokens, words
from jp_adapt.tokenizer.words import Corpus
from tests.conftest import ROOT, documents
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


def test_no_other_module_gives_text_to_mecab() -> None:
    importers = set()
    for path in (ROOT / "jp_adapt").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if any(name.partition(".")[0] in ("fugashi", "MeCab") for name in names):
                importers.add(path.relative_to(ROOT))
    assert importers == {Path("jp_adapt/text/morphology.py")}


@pytest.mark.parametrize("number", [1, 999, 65_531, 65_532, 65_533, 140_000])
@pytest.mark.parametrize("space", [" ", "\t"])
def test_no_run_of_spaces_takes_a_word(number: int, space: str) -> None:
    text = "犬" + space * number + "猫が" + space * number
    assert count_words(text) == 3
    assert words(text) == ["犬", "猫", "が"]
    assert phrases(text) == ["犬", "猫が"]
    assert [text[token.start : token.end] for token in tokens(text)] == ["犬", "猫", "が"]


@pytest.mark.parametrize("unit", ["a", "あ", "ア", "1", "日", "・", "一", "ー", "。", "日本語", "か\u3099", "\x00", "\ud800", "𠮷"])
def test_a_line_of_any_length_is_cut(unit: str) -> None:
    line = unit * (30_000 // len(unit))  # whole, ten times as much of most of these ends the process, and this much takes seconds
    assert "".join(words(line)) == "".join(phrases(line)) == line
    assert count_words(line) == len(words(line))
    assert max(len(piece) for _, piece in pieces(line)) <= MAX_PIECE_CHARS


def test_what_mecab_cannot_read_hides_no_word() -> None:
    assert words("犬\x00猫\ud800が") == ["犬", "\x00", "猫", "\ud800", "が"]


@examples(200)
@given(st.text(alphabet=st.sampled_from("日本。！」、, \t\n\r\x0b\x0c\x1c\x85\u2028ア\x00a"), max_size=60), st.integers(min_value=1, max_value=9))
def test_pieces_are_the_lines_and_never_too_long(text: str, max_chars: int) -> None:
    results = list(pieces(text, max_chars))
    assert all(0 < len(piece) <= max_chars or not piece for _, piece in results)
    assert all(text[start : start + len(piece)].replace("\x00", "\ufffd") == piece for start, piece in results)
    assert sum(len(piece) for _, piece in results) == sum(map(len, text.splitlines()))


def test_a_long_line_is_cut_behind_a_sentence() -> None:
    sentence, clause = "猫が鳴く。", "犬が、"
    assert [piece for _, piece in pieces(sentence * 500, 12)] == [sentence * 2] * 250
    assert [piece for _, piece in pieces("「" + sentence + "」" + clause * 4, 10)] == ["「猫が鳴く。」", clause * 3, clause]
    assert [piece for _, piece in pieces("猫" * 25, 10)] == ["猫" * 10, "猫" * 10, "猫" * 5]


def test_a_normal_line_is_never_cut() -> None:
    """Then the counts are those of whole lines; at 1,000 characters 7 lines of 567 development documents are longer, and their counts stay the same."""
    texts = documents("ja_train.jsonl")
    for text in texts:
        assert [piece for _, piece in pieces(text)] == text.splitlines()
