"""Counts of a tokenizer, and how the report shows a cut sentence."""

from __future__ import annotations

import pytest

from jp_adapt.tokenizer.bpe import BpeTokenizer
from jp_adapt.tokenizer.extend import Extension, append_tokens
from jp_adapt.tokenizer.measure import Chip, measure_tokenizer, segment

TEXTS = ["今日は良い天気です。", "Hi"]


def test_known_counts(small: BpeTokenizer) -> None:
    measure = measure_tokenizer(small, TEXTS)
    assert (measure.documents, measure.chars, measure.bytes) == (2, 12, 32)
    assert measure.tokens == 30 + len(small.encode("Hi"))
    assert measure.words == 7  # 今日 は 良い 天気 です 。 Hi
    assert measure.chars_per_token == pytest.approx(12 / measure.tokens)
    assert measure.tokens_per_word == pytest.approx(measure.tokens / 7)
    assert measure.as_dict() == {
        **{"documents": 2, "chars": 12, "bytes": 32, "tokens": measure.tokens, "words": 7},
        **{"chars_per_token": measure.chars_per_token, "tokens_per_word": measure.tokens_per_word},
    }


def test_no_word_no_fertility(small: BpeTokenizer) -> None:
    assert measure_tokenizer(small, ["\n\n"]).tokens_per_word is None


def test_extension_improves_every_ratio(small: BpeTokenizer, small_extension: Extension, japanese: list[str]) -> None:
    before, after = (measure_tokenizer(tokenizer, japanese[60:70]) for tokenizer in (small, small_extension.tokenizer))
    assert (before.chars, before.bytes, before.words) == (after.chars, after.bytes, after.words)
    assert after.chars_per_token > 1.5 * before.chars_per_token
    assert after.tokens_per_word is not None
    assert before.tokens_per_word is not None
    assert after.tokens_per_word < before.tokens_per_word


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
