"""Counts of a tokenizer, and how the report shows a cut sentence."""

from __future__ import annotations

from math import log

import pytest

from jp_adapt.tokenizer.bpe import BpeTokenizer
from jp_adapt.tokenizer.extend import Extension, append_tokens
from jp_adapt.tokenizer.load import LoadedTokenizer
from jp_adapt.tokenizer.measure import RENYI_ORDER, Chip, Measure, measure_tokenizer, segment, token_script

TEXTS = ["今日は良い天気です。", "Hi"]


def test_known_counts(small: BpeTokenizer) -> None:
    measure = measure_tokenizer(small, TEXTS)
    latin = len(small.encode("Hi"))
    assert (measure.documents, measure.chars, measure.bytes) == (2, 12, 32)
    assert measure.tokens == 30 + latin
    assert measure.words == 7  # 今日 は 良い 天気 です 。 Hi
    assert measure.byte_tokens == measure.broken_tokens == 30
    assert measure.chars_per_token == pytest.approx(12 / measure.tokens)
    assert measure.tokens_per_word == pytest.approx(measure.tokens / 7)
    assert measure.vocabulary_use == pytest.approx((len(set("今日は良い天気です。".encode())) + latin) / 600)
    assert measure.as_dict() == {
        **{"documents": 2, "chars": 12, "bytes": 32, "tokens": measure.tokens, "words": 7, "byte_tokens": 30, "broken_tokens": 30},
        **{"chars_per_token": measure.chars_per_token, "tokens_per_word": measure.tokens_per_word, "bytes_per_token": 32 / measure.tokens},
        **{"byte_fallback_share": 30 / measure.tokens, "broken_share": 30 / measure.tokens},
        **{"renyi_efficiency": measure.renyi_efficiency, "vocabulary_use": measure.vocabulary_use},
    }


def test_parts_of_characters_are_broken_and_only_single_bytes_are_byte_tokens(small: BpeTokenizer) -> None:
    """日 is one token, 本 two bytes and one (E6 9C | AC), 語 three bytes, "a" a byte that is a character."""
    extended = append_tokens(small, [], [b"\xe6\x97", "日".encode(), b"\xe6\x9c"])
    measure = measure_tokenizer(extended, ["日本語a"])
    assert (measure.tokens, measure.byte_tokens, measure.broken_tokens) == (1 + 2 + 3 + 1, 4, 5)


def test_byte_fallback_of_a_sentencepiece_tokenizer(sp: LoadedTokenizer) -> None:
    measure = measure_tokenizer(sp.tokenizer, ["日本", "the"])
    assert (measure.byte_tokens, measure.broken_tokens) == (6, 6)
    assert measure.tokens == 6 + 2  # ▁ of the first text, ▁the


def test_renyi_efficiency_of_known_counts(small: BpeTokenizer) -> None:
    even = measure_tokenizer(small, ["#$%&"])
    assert even.tokens == 4
    assert even.renyi_efficiency == pytest.approx(log(4) / log(600)), "four tokens once each: entropy log 4"
    same = measure_tokenizer(small, ["#", "#", "#"])
    assert same.renyi_efficiency == pytest.approx(0.0)
    uneven = measure_tokenizer(small, ["#", "#", "#", "$"])
    expected = log(0.75**RENYI_ORDER + 0.25**RENYI_ORDER) / (1 - RENYI_ORDER) / log(600)
    assert uneven.renyi_efficiency == pytest.approx(expected)


def test_words_that_are_known_are_not_counted_again(small: BpeTokenizer) -> None:
    assert measure_tokenizer(small, TEXTS, words=42).words == 42
    assert measure_tokenizer(small, TEXTS, words=0).tokens_per_word is None


def test_no_word_no_fertility(small: BpeTokenizer) -> None:
    assert measure_tokenizer(small, ["\n\n"]).tokens_per_word is None


@pytest.mark.parametrize("texts", [[], [""], ["", ""]])
def test_no_token_no_measure(small: BpeTokenizer, texts: list[str]) -> None:
    with pytest.raises(ValueError, match="the texts give no token"):
        measure_tokenizer(small, texts)


def test_extension_improves_every_ratio(small: BpeTokenizer, small_extension: Extension, japanese: list[str]) -> None:
    before, after = (measure_tokenizer(tokenizer, japanese[60:70]) for tokenizer in (small, small_extension.tokenizer))
    assert (before.chars, before.bytes, before.words) == (after.chars, after.bytes, after.words)
    assert after.chars_per_token > 1.5 * before.chars_per_token
    assert after.tokens_per_word is not None
    assert before.tokens_per_word is not None
    assert after.tokens_per_word < before.tokens_per_word
    assert after.byte_tokens < before.byte_tokens
    assert after.broken_tokens < before.broken_tokens


def test_a_special_token_is_whole(small: BpeTokenizer) -> None:
    measure = measure_tokenizer(small, ["<|endoftext|>"])
    assert isinstance(measure, Measure)
    assert (measure.tokens, measure.broken_tokens) == (1, 0)


def test_segment_shows_whole_new_and_partial_tokens(small: BpeTokenizer) -> None:
    extended = append_tokens(small, [], [b"\xe6\x97", "日".encode()])
    assert segment(extended, "日本", small.vocab_size) == [
        Chip("日", new=True, partial=False),
        Chip("E6", new=False, partial=True),
        Chip("9C", new=False, partial=True),
        Chip("AC", new=False, partial=True),
    ]


def test_the_first_new_id_is_new(small: BpeTokenizer) -> None:
    extended = append_tokens(small, [], [b"\xe6\x97", "日".encode()])
    token_id = extended.ids["日".encode()]
    assert [segment(extended, "日", first)[0].new for first in (token_id - 1, token_id, token_id + 1)] == [True, True, False]


def test_chips_join_to_the_text(small: BpeTokenizer, small_extension: Extension, japanese: list[str]) -> None:
    text = japanese[0][:200]
    chips = segment(small_extension.tokenizer, text, small_extension.first_new_id)
    assert b"".join(bytes.fromhex(chip.text) if chip.partial else chip.text.encode() for chip in chips) == text.encode()
    assert any(chip.new for chip in chips)


def test_a_special_token_in_the_sentence_is_one_chip(small: BpeTokenizer) -> None:
    assert segment(small, "a<|endoftext|>", small.vocab_size)[-1] == Chip("<|endoftext|>", new=False, partial=False)


@pytest.mark.parametrize(
    ("token", "script"),
    [
        (" 日".encode(), "kanji"),
        ("日本".encode(), "kanji"),
        ("です".encode(), "hiragana"),
        ("食べる".encode(), "mixed"),
        (" コーヒー".encode(), "katakana"),
        (b"the", "other"),
        ("日a".encode(), "mixed"),
        (b" ", "other"),
        ("日".encode()[:2], "partial"),
    ],
)
def test_the_script_of_a_token_lets_a_leading_space_go(token: bytes, script: str) -> None:
    assert token_script(token) == script
