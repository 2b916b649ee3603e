"""Fingerprints and the decision: the first of its kind is kept, whatever the parts that the fingerprints were made in."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.corpus.deduplicate import Indices, _bags, _near, find_duplicates, find_exact_duplicates, fingerprint
from tests.conftest import documents
from tests.corpus.near_truth import is_near, near_pairs
from tests.properties import examples

TEXTS = documents("ja_train.jsonl")


def found_in(texts: list[str]) -> tuple[list[int], list[bool]]:
    """`find_duplicates` of texts; only those that it asked for may be looked at."""

    def fetch(documents: Indices) -> Callable[[int], str]:
        assert np.all(np.diff(documents) > 0)
        return {int(index): texts[index] for index in documents}.__getitem__

    of, exact = find_duplicates(*fingerprint(texts), fetch)
    return of.tolist(), exact.tolist()


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
    of, repeated = find_exact_duplicates(exact, signatures, lambda documents: texts.__getitem__)
    assert [int(index) for index in of] == [texts.index(text) if texts.index(text) < number else -1 for number, text in enumerate(texts)]
    kept, same = found_in(texts)
    assert same == repeated.tolist()
    assert all(index < number and kept[index] < 0 for number, index in enumerate(kept) if index >= 0)


def test_texts_with_five_in_a_hundred_characters_edited_are_near_duplicates_and_others_are_not() -> None:
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    long = [text for text in TEXTS if len(text) > 300]
    texts = TEXTS + [edited(text, 0.05, rng) for text in long]
    of, exact = found_in(texts)
    results = sum(of[len(TEXTS) + number] >= 0 for number in range(len(long)))
    assert results >= 0.98 * len(long), f"seed {seed}: {results} of {len(long)}"
    assert [(TEXTS[i][:50], TEXTS[of[i]][:50]) for i in range(len(TEXTS)) if of[i] >= 0] == []
    assert not any(exact)


@examples(200)
@given(st.text("あいうえお、A𠮟", max_size=40), st.dictionaries(st.integers(0, 39), st.sampled_from(["", "か", "あa", "。"]), max_size=4))
def test_near_is_a_bound_on_two_jaccard_indices_of_multisets(text: str, edits: dict[int, str]) -> None:
    other = "".join(edits.get(place, char) for place, char in enumerate(text))
    assert _near(_bags(text), _bags(other)) == is_near(text, other)


def test_every_pair_of_near_duplicates_among_edited_copies_is_found() -> None:
    """By brute force over all pairs: of every two near duplicates one at least is left out, and what is left out is a near duplicate of what is kept."""
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    texts = TEXTS[:60] + [edited(text, rng.uniform(0.01, 0.12), rng) for text in TEXTS[:60] if len(text) > 100]
    of, _ = found_in(texts)
    pairs = near_pairs(texts)
    assert len(pairs) > 20
    assert [(later, earlier) for later, earlier in pairs if of[later] < 0 and of[earlier] < 0][1:] == [], f"seed {seed}"  # a candidate in a thousand is lost
    assert {(later, earlier) for later, earlier in enumerate(of) if earlier >= 0} <= set(pairs), f"seed {seed}"


def test_pages_that_share_most_but_not_enough_are_kept() -> None:
    first, second = TEXTS[0][:900], TEXTS[1][:300]
    texts = [first, first[:700] + second]  # a fifth differs, in one place
    assert found_in(texts)[0] == [-1, -1]


@pytest.mark.parametrize("texts", [[], ["一つ"], ["", ""]])
def test_small_corpora(texts: list[str]) -> None:
    assert found_in(texts)[0] == [-1, 0][: len(texts)]


def test_many_equal_signatures_cost_no_square() -> None:
    texts = [f"{TEXTS[0]}{'。' * number}" for number in range(1000)]  # punctuation does not count: one bucket of 1,000
    of, exact = found_in(texts)
    assert of == [-1] + [0] * 999
    assert not any(exact)
