"""Merge rules: which pairs a vocabulary implies, and how an extension adds its own without moving one of the base."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

Pair = tuple[str, str]


def splits(token: str, known: Mapping[str, int]) -> list[Pair]:
    """Every pair of known tokens that spells `token`, in the order of their ids (that of the converters of `transformers`)."""
    pairs = [(token[:cut], token[cut:]) for cut in range(1, len(token)) if token[:cut] in known and token[cut:] in known]
    return sorted(pairs, key=lambda pair: (known[pair[0]], known[pair[1]]))


def is_rank_keyed(vocab: Mapping[str, int], merges: Sequence[Pair]) -> bool:
    """Whether the rules are those that the vocabulary implies: every split of every token, once (Llama-2's 61,249 and Llama-3's 280,147 are)."""
    listed = set(merges)
    if len(listed) != len(merges):
        return False
    merged = {left + right for left, right in merges}
    return sum(token[:cut] in vocab and token[cut:] in vocab for token in merged for cut in range(1, len(token))) == len(merges)


def append_merges(
    vocab: Mapping[str, int], merges: Sequence[Pair], new: Sequence[str], *, rank_keyed: bool, base_tokens: Iterable[str] | None = None
) -> list[Pair]:
    """The rules of a vocabulary to which the tokens `new` (in merge order) are appended.

    Every new token gets a rule for each pair that spells it, because the same text reaches it through different pairs in different surroundings.
    A base token may now be spelled with a new one too, and every runtime that merges by concatenation will do so: such a rule stands beside the base
    token's own rules where the base is rank-keyed (Llama-3 with 10,000 new tokens has 84 of them; without them `tokenizers` and tiktoken
    disagree), and after all base rules where it is not. The base's rules keep their order.

    Args:
        vocab: token -> id, base and new.
        merges: the rules of the base.
        new: the new tokens in merge order; a single character needs no rule and may stand among them.
        rank_keyed: what `is_rank_keyed` says of the base.
        base_tokens: the base tokens that may hold a new one; all tokens of `vocab` when not given.
    """
    fresh = set(new)
    first_new = {token[0] for token in new} | {token[-1] for token in new}
    again: dict[str, list[Pair]] = {}
    for token in vocab if base_tokens is None else base_tokens:
        if token in fresh or len(token) < 2 or not (token[0] in first_new or token[-1] in first_new):
            continue
        pairs = [pair for pair in splits(token, vocab) if not fresh.isdisjoint(pair)]
        if pairs:
            again[token] = pairs
    rules = list(merges)
    if rank_keyed and again:
        last = {left + right: place for place, (left, right) in enumerate(merges)}
        rules = []
        for place, pair in enumerate(merges):
            rules.append(pair)
            token = pair[0] + pair[1]
            if token in again and last[token] == place:
                rules += again.pop(token)
    for token in sorted(again, key=vocab.__getitem__):
        rules += again[token]
    for token in new:
        rules += splits(token, vocab)
    return rules
