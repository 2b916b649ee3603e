"""Merge rules: hand-computed cases, and the rules of two published tokenizers made anew from their vocabularies."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jp_adapt.tokenizer.bpe import bare_runtime
from jp_adapt.tokenizer.load import LoadedTokenizer, load_tokenizer
from jp_adapt.tokenizer.merges import Pair, append_merges, is_rank_keyed, splits
from tests.properties import examples


def numbered(*tokens: str) -> dict[str, int]:
    return {token: place for place, token in enumerate(tokens)}


def all_rules(vocab: dict[str, int]) -> list[Pair]:
    return [pair for token in sorted(vocab, key=vocab.__getitem__) for pair in splits(token, vocab)]


def test_splits_are_all_pairs_in_the_order_of_ids() -> None:
    vocab = numbered("a", "b", "c", "bc", "ab", "abc", "d")
    assert splits("abc", vocab) == [("a", "bc"), ("ab", "c")]
    assert splits("abc", numbered("ab", "c", "a", "bc", "abc")) == [("ab", "c"), ("a", "bc")]
    assert splits("ab", vocab) == [("a", "b")]
    assert splits("a", vocab) == []
    assert splits("abd", vocab) == [("ab", "d")]
    assert splits("adb", vocab) == []


def test_rank_keyed_means_every_split_once() -> None:
    vocab = numbered("a", "b", "c", "ab", "bc", "abc")
    rules = all_rules(vocab)
    assert rules == [("a", "b"), ("b", "c"), ("a", "bc"), ("ab", "c")]
    assert is_rank_keyed(vocab, rules)
    assert not is_rank_keyed(vocab, rules[:-1]), "a split is missing"
    assert not is_rank_keyed(vocab, [*rules, rules[0]]), "a rule stands twice"
    assert not is_rank_keyed(vocab, [rules[0], *rules[:-1]])


# The base holds ABCD, made of AB + CD; the new token BC lets ABC = A + BC be made, and ABCD = ABC + D.
BASE = numbered("A", "B", "C", "D", "E", "AB", "CD", "ABCD", "DE")
NEW = ["BC", "ABC"]


def test_a_rebuilt_base_token_stands_beside_its_own_rules_where_the_base_is_rank_keyed() -> None:
    vocab = BASE | {token: len(BASE) + place for place, token in enumerate(NEW)}
    merges = all_rules(BASE)
    assert merges == [("A", "B"), ("C", "D"), ("AB", "CD"), ("D", "E")]
    assert append_merges(vocab, merges, NEW, rank_keyed=True) == [
        ("A", "B"),
        ("C", "D"),
        ("AB", "CD"),
        ("ABC", "D"),  # beside the rule of ABCD, before DE's
        ("D", "E"),
        ("B", "C"),
        ("A", "BC"),
        ("AB", "C"),
    ]


def test_a_rebuilt_base_token_comes_after_all_base_rules_where_it_is_not() -> None:
    vocab = BASE | {token: len(BASE) + place for place, token in enumerate(NEW)}
    merges = all_rules(BASE)
    assert append_merges(vocab, merges, NEW, rank_keyed=False) == [*merges, ("ABC", "D"), ("B", "C"), ("A", "BC"), ("AB", "C")]


def test_a_base_token_without_a_rule_of_its_own_is_not_lost() -> None:
    """ABCD has no rule in the base (nothing spells it); with ABC it has one, and that comes after the base's rules."""
    base = numbered("A", "B", "C", "D", "ABCD")
    vocab = base | {"ABC": 5, "BC": 6}
    assert append_merges(vocab, [], ["BC", "ABC"], rank_keyed=True) == [("ABC", "D"), ("B", "C"), ("A", "BC")]


def test_base_tokens_that_are_not_named_are_left_alone() -> None:
    vocab = BASE | {token: len(BASE) + place for place, token in enumerate(NEW)}
    assert append_merges(vocab, [], NEW, rank_keyed=True, base_tokens=["A", "DE"]) == [("B", "C"), ("A", "BC"), ("AB", "C")]


def test_a_single_character_needs_no_rule() -> None:
    vocab = numbered("a", "b", "ab", "X")
    assert append_merges(vocab, [("a", "b")], ["X"], rank_keyed=True) == [("a", "b")]


def cut_by_rank(text: str, vocab: dict[str, int]) -> list[int]:
    """What tiktoken and SentencePiece do: join the neighbours whose concatenation has the lowest rank, the leftmost of equals first."""
    parts = list(text)
    while True:
        ranked = [(vocab[a + b], place) for place, (a, b) in enumerate(pairwise(parts)) if a + b in vocab]
        if not ranked:
            return [vocab[part] for part in parts]
        _, place = min(ranked)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]


tokens = st.lists(st.text(alphabet="abc", min_size=2, max_size=5), max_size=12, unique=True)


@examples(300)
@given(tokens, tokens, st.lists(st.text(alphabet="abc", max_size=14), max_size=8))
def test_rules_of_an_extension_are_what_merging_by_rank_does(old: list[str], new: list[str], texts: list[str]) -> None:
    """With a rank-keyed base, `tokenizers` with the rules cuts as a runtime that knows ranks alone. This is what regenerated base rules are for."""
    base = numbered("a", "b", "c", *old)
    added = [token for token in new if token not in base]
    vocab = base | {token: len(base) + place for place, token in enumerate(added)}
    rules = append_merges(vocab, all_rules(base), added, rank_keyed=True)
    runtime = bare_runtime(vocab, rules, sentencepiece=False)
    for text in texts:
        assert runtime.encode(text).ids == cut_by_rank(text, vocab)
    # Which rules there are is what the union implies; their order is by token.
    assert sorted(rules) == sorted(all_rules(vocab))
    if is_rank_keyed(base, all_rules(base)):
        assert is_rank_keyed(vocab, rules)


def test_the_rules_of_llama3_are_its_vocabulary(llama3: LoadedTokenizer) -> None:
    base = llama3.tokenizer
    rules = all_rules(base.spec["model"]["vocab"])
    assert len(rules) == 280_147
    assert rules == base.merges
    assert base.is_rank_keyed
    assert base.family == "tiktoken BPE"


def test_the_rules_of_llama2_are_its_scores(shared_data: Path) -> None:
    """So are those of Mistral, another vocabulary."""
    base = load_tokenizer(shared_data / "tokenizers" / "llama2" / "tokenizer.model").tokenizer
    assert len(base.merges) == 61_249  # those of transformers' own conversion
    assert base.is_rank_keyed
    assert base.family == "SentencePiece BPE"
    other = load_tokenizer(shared_data / "tokenizers" / "mistral-json" / "tokenizer.json").tokenizer
    assert len(other.merges) == 58_980
    assert other.is_rank_keyed
    ordinary = [token for token in other.spec["model"]["vocab"] if token not in other.special_texts]
    vocab = other.spec["model"]["vocab"]
    assert sorted(pair for token in ordinary for pair in splits(token, vocab)) == sorted(other.merges)


@pytest.mark.parametrize("rank_keyed", [True, False])
def test_the_base_rules_keep_their_order(rank_keyed: bool) -> None:
    vocab = BASE | {token: len(BASE) + place for place, token in enumerate(NEW)}
    merges = all_rules(BASE)
    rules = append_merges(vocab, merges, NEW, rank_keyed=rank_keyed)
    assert [rule for rule in rules if rule in merges] == merges
    assert len(set(rules)) == len(rules)
