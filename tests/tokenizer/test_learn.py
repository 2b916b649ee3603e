"""Learning is byte-pair encoding continued from the base segmentation: held against a slow, plain reference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.tokenizer.bpe import BpeTokenizer
from jp_adapt.tokenizer.extend import is_admissible
from jp_adapt.tokenizer.learn import learn_tokens
from tests.properties import examples

Words = list[tuple[tuple[bytes, ...], int]]


def _merged(pieces: tuple[bytes, ...], learned: list[bytes]) -> list[bytes]:
    """`pieces` with the earliest learned token merged first, leftmost first, until none is spelled by a pair."""
    now = list(pieces)
    while True:
        spelled = [(learned.index(a + b), place) for place, (a, b) in enumerate(pairwise(now)) if a + b in learned]
        if not spelled:
            return now
        _, place = min(spelled)
        now = [*now[:place], now[place] + now[place + 1], *now[place + 2 :]]


def reference(words: Words, num_tokens: int, known: set[bytes], admit: Callable[[bytes], bool], min_count: int) -> list[bytes]:
    """Count all pairs of all words anew for every token; ties go to the smaller byte string."""
    learned: list[bytes] = []
    while len(learned) < num_tokens:
        counts: Counter[bytes] = Counter()
        for pieces, count in words:
            for a, b in pairwise(_merged(pieces, learned)):
                counts[a + b] += count
        candidates = [(-n, token) for token, n in counts.items() if n >= min_count and token not in known and token not in learned and admit(token)]
        if not candidates:
            break
        learned.append(min(candidates)[1])
    return learned


# Two letters make many ties, overlaps ("aaa") and tokens that two different pairs spell.
pieces = st.lists(st.sampled_from([b"a", b"b", b"ab", b"ba", b"c"]), min_size=1, max_size=10).map(tuple)
word_lists = st.lists(st.tuples(pieces, st.integers(1, 5)), max_size=8)


@examples(300)
@given(word_lists, st.integers(1, 12), st.integers(1, 6), st.sets(st.sampled_from([b"ab", b"ba", b"aa", b"bb", b"aba"])), st.integers(2, 6))
def test_learning_is_the_reference(words: Words, num_tokens: int, min_count: int, known: set[bytes], longest: int) -> None:
    def admit(token: bytes) -> bool:
        return len(token) <= longest and token != b"cc"

    learned = learn_tokens(words, num_tokens, known=known, admit=admit, min_count=min_count)
    assert learned == reference(words, num_tokens, known, admit, min_count)


@examples(60)
@given(st.lists(st.text(alphabet="日本語にほんごっー、a ", min_size=1, max_size=12), min_size=1, max_size=6), st.integers(1, 20))
def test_learning_from_real_segmentation_is_the_reference(small: BpeTokenizer, texts: list[str], num_tokens: int) -> None:
    words = [(small.split(text), count) for text, count in small.pre_tokens(texts).items()]
    known = set(small.ids)
    learned = learn_tokens(words, num_tokens, known=known, admit=lambda token: is_admissible(token, 4), min_count=2)
    assert learned == reference(words, num_tokens, known, lambda token: is_admissible(token, 4), 2)


def test_known_small_case() -> None:
    # "ab" stands 3 + 2 times, then "abc" 3 times; "cd" stands once and is below min_count.
    words: Words = [((b"a", b"b", b"c"), 3), ((b"x", b"a", b"b"), 2), ((b"c", b"d"), 1)]
    assert learn_tokens(words, 10, known=[], admit=lambda _: True, min_count=3) == [b"ab", b"abc"]


def test_the_same_string_from_two_pairs_is_one_candidate() -> None:
    # Neither pair stands 4 times, the string "abc" does.
    words: Words = [((b"ab", b"c"), 2), ((b"a", b"bc"), 2), ((b"x", b"y"), 3)]
    assert learn_tokens(words, 1, known=[], admit=lambda _: True) == [b"abc"]


def test_the_earliest_learned_token_wins_where_two_could_merge() -> None:
    # Once "ab" is learned, the last word is p + ab + q + r, and "pab" (learned first) goes before "abq": what stays beside each other is q and r.
    words: Words = [((b"pa", b"b"), 10), ((b"a", b"bq"), 9), ((b"p", b"a", b"b", b"q", b"r"), 5)]
    learned = learn_tokens(words, 4, known=[b"pa", b"bq"], admit=lambda token: token != b"pabq")
    assert learned == [b"pab", b"abq", b"ab", b"qr"]


def test_min_count_is_inclusive() -> None:
    words: Words = [((b"a", b"b"), 4)]
    assert learn_tokens(words, 1, known=[], admit=lambda _: True, min_count=4) == [b"ab"]
    assert learn_tokens(words, 1, known=[], admit=lambda _: True, min_count=5) == []


def test_known_tokens_are_not_learned_again() -> None:
    words: Words = [((b"a", b"b", b"c"), 5)]
    assert learn_tokens(words, 3, known=[b"ab"], admit=lambda _: True) == [b"bc", b"abc"]


def test_learning_repeats_exactly_whatever_the_order_of_the_words(small: BpeTokenizer, japanese: list[str]) -> None:
    words = [(small.split(text), count) for text, count in small.pre_tokens(japanese[:8]).items()]
    first, second, reverse = (learn_tokens(part, 80, known=small.ids, admit=lambda t: is_admissible(t, 8)) for part in (words, words, words[::-1]))
    assert first == second == reverse
    assert len(first) == len(set(first)) == 80
