"""Careless extensions are caught, each by the criterion that names its fault."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from jp_adapt.tokenizer.byte_level import BpeTokenizer, to_bytes, to_text
from jp_adapt.tokenizer.extend import Extension, append_tokens
from jp_adapt.tokenizer.verify import MAX_EXAMPLES, verify_tokenizer

WORDS = ["日本", "東京", "言葉", "新しい"]


def _broken(base: BpeTokenizer, spec: dict[str, Any], texts: list[str]) -> dict[str, int]:
    criteria = verify_tokenizer(base, BpeTokenizer(spec), japanese=["日本の東京で新しい言葉を"], unchanged=texts)
    for criterion in criteria:
        assert len(criterion.examples) == min(criterion.failures, MAX_EXAMPLES)
        assert all(len(text) <= 80 for text in criterion.examples)
    return {criterion.name: criterion.failures for criterion in criteria if criterion.failures}


def test_the_base_itself_breaks_nothing(small: BpeTokenizer, english: list[str]) -> None:
    assert _broken(small, small.spec, english) == {}


def test_tokens_without_merge_rules_are_unreachable(small: BpeTokenizer, english: list[str]) -> None:
    spec = copy.deepcopy(small.spec)
    spec["model"]["vocab"] |= {to_text(word.encode()): small.vocab_size + place for place, word in enumerate(WORDS)}
    assert _broken(small, spec, english) == {"unreachable_new_tokens": len(WORDS)}


def test_an_id_without_a_token_is_unreachable(small: BpeTokenizer, small_extension: Extension, english: list[str]) -> None:
    spec = copy.deepcopy(small_extension.tokenizer.spec)
    last = to_text(small_extension.tokens[-1])
    spec["model"]["vocab"][last] += 1
    assert _broken(small, spec, english) == {"unreachable_new_tokens": 1}


def test_a_moved_base_id_is_caught(small: BpeTokenizer, small_extension: Extension) -> None:
    spec = copy.deepcopy(small_extension.tokenizer.spec)
    vocab = spec["model"]["vocab"]
    vocab["Ġthe"], vocab["Ġand"] = vocab["Ġand"], vocab["Ġthe"]
    assert _broken(small, spec, ["nothing here"]) == {"base_ids_changed": 2}
    assert _broken(small, spec, ["the cat and the dog", "no such word"]) == {"base_ids_changed": 2, "changed_english_lines": 1}


def test_a_lost_special_token_is_caught(small: BpeTokenizer, english: list[str]) -> None:
    spec = copy.deepcopy(small.spec)
    spec["added_tokens"] = [token for token in spec["added_tokens"] if token["content"] != "<|im_start|>"]
    del spec["model"]["vocab"]["<|im_start|>"]
    assert _broken(small, spec, english) == {"base_ids_changed": 1}


def test_an_english_token_changes_english(small: BpeTokenizer, english: list[str]) -> None:
    word = next(pieces for text in small.pre_tokens(english) if len(pieces := small.split(text)) == 2 and all(piece.isalpha() for piece in pieces))
    lines = [line for line in english[0].splitlines() if line.strip()]
    assert _broken(small, append_tokens(small, [], [b"".join(word)]).spec, ["".join(map(bytes.decode, word)), "1 2 3", *lines])["changed_english_lines"] >= 1


def test_rules_before_the_base_rules_make_inputs_longer(small: BpeTokenizer) -> None:
    """A rule ahead of the base's that joins the end of one half of a word with the start of the other leaves the word in pieces."""
    spec = copy.deepcopy(small.spec)
    vocab = spec["model"]["vocab"]
    left, right = next((a, b) for a, b in spec["model"]["merges"] if len(a) > 2 and a[0] == "Ġ" and a[-1] + b[0] not in vocab)
    vocab[left[-1] + right[0]] = small.vocab_size
    spec["model"]["merges"].insert(0, [left[-1], right[0]])
    word = to_bytes(left + right).decode("utf-8")
    assert len(small.encode(word)) == 1
    found = _broken(small, spec, [word])
    assert found.keys() == {"changed_english_lines", "longer_inputs"}


def test_missing_bytes_that_stay_missing_break_the_round_trip(smollm2: BpeTokenizer, english: list[str]) -> None:
    found = _broken(smollm2, smollm2.spec, english[:1])
    assert set(found) == {"round_trip_failures"}
    assert found["round_trip_failures"] >= 1


def test_a_line_longer_than_the_limit_is_shortened_in_the_examples(smollm2: BpeTokenizer) -> None:
    criteria = verify_tokenizer(smollm2, smollm2, japanese=["\x04" + "あ" * 200])
    example = next(c for c in criteria if c.name == "round_trip_failures").examples[0]
    assert example == "\x04" + "あ" * 76 + "..."


@pytest.mark.parametrize("line", ["日本 and English", "a\u3000b"])
def test_a_line_with_japanese_may_change(small: BpeTokenizer, small_extension: Extension, line: str) -> None:
    assert small.encode(line) != small_extension.tokenizer.encode(line)
    assert _broken(small, small_extension.tokenizer.spec, [line]) == {}
