"""The words that tokens are learned from: runs of Japanese with their leading space, each line counted once."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.text.scripts import is_japanese
from jp_adapt.tokenizer.bpe import BpeTokenizer
from jp_adapt.tokenizer.words import MAX_RUN_CHARS, MAX_SOURCES, Corpus, count_words
from tests.properties import examples


def corpus_of(*sources: list[str], weights: tuple[float, ...] = ()) -> Corpus:
    corpus = Corpus()
    for number, texts in enumerate(sources):
        corpus.add(f"source {number}", texts, weights[number] if weights else 1.0)
    return corpus


def whole(run: str) -> list[str]:
    return [run]


def test_runs_are_japanese_with_their_leading_space() -> None:
    corpus = corpus_of(["`foo` を呼ぶ。foo関数 は  全角\u3000空白、\tタブ ２ 3個 😀です"])
    assert corpus.runs == [Counter([" を呼ぶ。", "関数", " は", " 全角", "空白、", "タブ", " ２", "個", "です"])]


def test_each_line_counts_once_in_the_whole_corpus() -> None:
    corpus = corpus_of(["猫\n犬\n猫", "猫", "犬 猫"], ["猫", "鳥", "鳥\r\n鳥"])
    assert corpus.runs == [Counter({"猫": 1, "犬": 2, " 猫": 1}), Counter({"鳥": 1})]
    assert corpus.repeated_lines == [2, 3]
    assert corpus.documents == [3, 3]
    assert corpus.chars == [9, 6]
    assert corpus.names == ["source 0", "source 1"]


def test_documents_may_come_from_a_generator_and_are_not_kept() -> None:
    corpus = Corpus()
    corpus.add("stream", (f"第{number}章" for number in range(3)), 0.5)
    assert corpus.runs == [Counter({"第": 3, "章": 3})]
    assert corpus.weights == [0.5]


def test_known_words_and_counts() -> None:
    words = count_words(corpus_of(["猫だ a 猫だ", "犬"], ["猫だ"[:1], "x"], weights=(2.0, 10.0)), whole)
    assert words.texts == ["猫だ", " 猫だ", "犬", "猫"]
    assert words.source.tolist() == [0, 0, 0, 1]
    assert words.word.tolist() == [0, 1, 2, 3]
    assert (words.count * words.weight[words.source]).tolist() == [2.0, 2.0, 2.0, 10.0]
    assert words.totals.tolist() == [2.0, 2.0, 2.0, 10.0]
    assert words.weight.tolist() == [2.0, 10.0]


def test_totals_are_over_all_sources() -> None:
    words = count_words(corpus_of(["猫 a 猫"], ["b 猫", "c 猫"], weights=(1.0, 0.25)), whole)
    assert dict(zip(words.texts, words.totals.tolist(), strict=True)) == {"猫": 1.0, " 猫": 1.5}


def test_no_japanese_no_word() -> None:
    words = count_words(corpus_of(["only English 123", ""]), whole)
    assert (words.texts, words.weight.tolist(), words.totals.tolist()) == ([], [1.0], [])


def test_boundaries_are_cut_first_and_pre_tokens_then() -> None:
    words = count_words(corpus_of(["あいうえ"]), lambda run: [run[:1], run[1:]], lambda run: [run[:2], run[2:]])
    assert words.texts == ["あ", "い", "う", "え"]


def test_a_run_without_end_is_cut_and_nothing_is_lost() -> None:
    run = "漢" * (2 * MAX_RUN_CHARS + 5)
    words = count_words(corpus_of([run]), whole)
    assert dict(zip(words.texts, words.totals.tolist(), strict=True)) == {"漢" * MAX_RUN_CHARS: 2.0, "漢" * 5: 1.0}


def test_pre_tokens_of_a_byte_level_tokenizer(small: BpeTokenizer) -> None:
    words = count_words(corpus_of(["x 猫。犬"]), small.words)
    assert [small.to_bytes(word).decode("utf-8") for word in words.texts] == [" 猫", "。", "犬"], "GPT-2's pattern parts letters from punctuation"


texts = st.lists(st.text(alphabet="猫犬が。 a\n", max_size=12), max_size=6)


@examples(200)
@given(texts, texts)
def test_counts_are_those_of_a_naive_count(first: list[str], second: list[str]) -> None:
    corpus = corpus_of(first, second, weights=(1.0, 3.0))
    words = count_words(corpus, whole)
    seen: set[str] = set()
    for source, (documents, weight) in enumerate(((first, 1.0), (second, 3.0))):
        expected: Counter[str] = Counter()
        for line in (line for text in documents for line in text.splitlines()):
            if line in seen:
                continue
            seen.add(line)
            at = 0
            while at < len(line):
                start = at + 1 if line[at] == " " else at
                end = start
                while end < len(line) and is_japanese(line[end]):
                    end += 1
                if end > start:
                    expected[line[at:end]] += 1
                at = max(end, at + 1) if end > start else at + 1
        here = np.flatnonzero(words.source == source)
        results = {words.texts[words.word[entry]]: words.count[entry] * words.weight[source] for entry in here}
        assert results == {word: count * weight for word, count in expected.items()}


@pytest.mark.parametrize("weight", [0.5, 2.0])
def test_words_are_counted_by_source(weight: float) -> None:
    words = count_words(corpus_of(["猫 a 猫"], ["犬 a 猫"], weights=(weight, 1.0)), whole)
    assert words.texts == ["猫", " 猫", "犬"]
    sources, counts, weights = words.groups
    assert weights.tolist() == [weight, 1.0]
    assert sorted(zip(words.word.tolist(), sources.tolist(), counts.tolist(), strict=True)) == [(0, 0, 1.0), (1, 0, 1.0), (1, 1, 1.0), (2, 1, 1.0)]


def test_more_sources_than_are_counted_apart_are_put_together() -> None:
    texts = ([f"{number}猫"] for number in range(MAX_SOURCES + 3))
    words = count_words(corpus_of(*texts, weights=(1.5,) + (1.0,) * (MAX_SOURCES + 2)), whole)
    sources, counts, weights = words.groups
    assert weights.tolist() == [1.0] * MAX_SOURCES
    assert np.bincount(sources, weights=counts).tolist() == [2.5] + [2.0] * 2 + [1.0] * (MAX_SOURCES - 3)
