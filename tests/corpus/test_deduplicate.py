"""Fingerprints and the decision: the first of its kind is kept, whatever the parts that the fingerprints were made in."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.corpus.deduplicate import find_duplicates, find_exact_duplicates, fingerprint
from tests.conftest import documents
from tests.properties import examples

TEXTS = documents("ja_train.jsonl")


def edited(text: str, share: float, rng: random.Random) -> str:
    """`text` with `share` of its characters replaced, deleted or inserted, anywhere."""
    letters = "日本語の文字をかきかえるカタカナ漢字"
    chars = list(text)
    for place in sorted(rng.sample(range(len(chars)), max(1, round(share * len(chars)))), reverse=True):
        chars[place] = rng.choice([rng.choice(letters), "", chars[place] + rng.choice(letters)])
    return "".join(chars)


@examples(30)
@given(st.lists(st.sampled_from([*TEXTS[:12], "", "。", "あ", "ああ"]), max_size=30), st.integers(1, 9))
def test_the_first_of_equal_texts_is_kept_and_parts_do_not_matter(texts: list[str], size: int) -> None:
    exact, signatures = fingerprint(texts)
    parts = [fingerprint(texts[start : start + size]) for start in range(0, len(texts), size)]
    if parts:
        np.testing.assert_array_equal(exact, np.concatenate([part for part, _ in parts]))
        np.testing.assert_array_equal(signatures, np.concatenate([part for _, part in parts]))
    of, repeated = find_exact_duplicates(exact, signatures)
    assert [int(index) for index in of] == [texts.index(text) if texts.index(text) < number else -1 for number, text in enumerate(texts)]
    kept, same = find_duplicates(exact, signatures)
    assert same.tolist() == repeated.tolist()
    assert all(index < number and kept[index] < 0 for number, index in enumerate(kept.tolist()) if index >= 0)


def test_texts_with_five_in_a_hundred_characters_edited_are_near_duplicates_and_others_are_not() -> None:
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    long = [text for text in TEXTS if len(text) > 300]
    texts = TEXTS + [edited(text, 0.05, rng) for text in long]
    of, exact = find_duplicates(*fingerprint(texts))
    found = sum(of[len(TEXTS) + number] >= 0 for number in range(len(long)))
    assert found >= 0.97 * len(long), f"seed {seed}: {found} of {len(long)}"
    assert (of[: len(TEXTS)] >= 0).sum() <= 0.01 * len(TEXTS), [(TEXTS[i][:50], TEXTS[of[i]][:50]) for i in range(len(TEXTS)) if of[i] >= 0]
    assert not exact.any()


def test_pages_that_share_most_but_not_enough_are_kept() -> None:
    first, second = TEXTS[0][:900], TEXTS[1][:300]
    texts = [first, first[:700] + second]  # a fifth differs, in one place
    assert find_duplicates(*fingerprint(texts))[0].tolist() == [-1, -1]


@pytest.mark.parametrize("texts", [[], ["一つ"], ["", ""]])
def test_small_corpora(texts: list[str]) -> None:
    of, _ = find_duplicates(*fingerprint(texts))
    assert of.tolist() == [-1, 0][: len(texts)]


def test_many_equal_signatures_cost_no_square() -> None:
    texts = [f"{TEXTS[0]}{'。' * number}" for number in range(3000)]  # punctuation does not count: one bucket of 3,000
    of, exact = find_duplicates(*fingerprint(texts))
    assert of.tolist() == [-1] + [0] * 2999
    assert not exact.any()
