"""Extend a byte-level tokenizer with Japanese tokens so that nothing it did before changes."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from jp_adapt.core.errors import InputError
from jp_adapt.text.scripts import any_japanese_between, is_japanese
from jp_adapt.tokenizer.byte_level import ByteLevelTokenizer, to_text
from jp_adapt.tokenizer.learn import learn_tokens


@dataclass(frozen=True)
class Extension:
    """An extended tokenizer and, for each new id in order, what it is made of."""

    tokenizer: ByteLevelTokenizer
    first_new_id: int
    tokens: list[bytes]
    sources: list[list[int]]  # base ids that spelled each new token
    counts: list[int]  # occurrences of each new token when the corpus is encoded by the extended tokenizer

    @property
    def vocab_size(self) -> int:
        return self.first_new_id + len(self.tokens)


def extend_tokenizer(
    base: ByteLevelTokenizer,
    texts: Iterable[str],
    num_tokens: int,
    *,
    min_count: int = 2,
    max_token_chars: int = 8,
) -> Extension:
    """Learn `num_tokens` Japanese tokens from `texts` and append them to `base`.

    Base ids, base merges and the encoding of every text without Japanese characters stay as they are: new merges come after all base merges,
    and none of them can apply to a text that holds no Japanese (nor one of the few neighbours that share all bytes but the last with a Japanese
    character, such as U+3000). Bytes that the base lacks are added first (beside `num_tokens`), so that
    every input round-trips.

    A learned token that the finished tokenizer does not produce from its own text is left out, and learning runs again, until none is left.

    Raises:
        InputError: the corpus is empty, holds no Japanese, or cannot give `num_tokens` tokens that stand at least `min_count` times.
    """
    counts = base.pre_tokens(texts)
    words = [(base.split(text), count) for text, count in counts.items()]
    if not words:
        raise InputError("the corpus of the tokenizer stage is empty: it gave no word to learn from")
    missing = [bytes([byte]) for byte in base.missing_bytes]
    known = frozenset(base.ids) | frozenset(missing)
    banned: set[bytes] = set()
    while True:
        learned = learn_tokens(
            words,
            num_tokens,
            known=known,
            admit=lambda token: token not in banned and is_admissible(token, max_token_chars),
            min_count=min_count,
        )
        if len(learned) < num_tokens:
            raise InputError(
                f"asked for {num_tokens} new tokens, and the corpus gives {len(learned)} Japanese strings that stand at least {min_count} times; "
                "give more Japanese text, ask for fewer tokens, or lower min_count"
            )
        extended = append_tokens(base, missing, learned)
        unreachable = [token for token in learned if extended.spell(token) != [extended.ids[token]]]
        if not unreachable:
            break
        banned.update(unreachable)
    tokens = missing + learned
    usage = _usage(extended, counts)
    return Extension(
        tokenizer=extended,
        first_new_id=base.vocab_size,
        tokens=tokens,
        sources=[base.spell(token) for token in tokens],
        counts=[usage.get(extended.ids[token], 0) for token in tokens],
    )


def is_admissible(token: bytes, max_chars: int) -> bool:
    """Whether `token` is whole Japanese characters, at most `max_chars`, or the first bytes of one (but not those of an emoji or of Hangul)."""
    try:
        text = token.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start == 0 and error.end == len(token) and error.reason == "unexpected end of data" and _begins_japanese(token)
    return len(text) <= max_chars and is_japanese(text)


def _begins_japanese(partial: bytes) -> bool:
    """Whether some Japanese character begins with the bytes `partial`, which are the first of a character."""
    if partial == b"\xef\xbf":  # also the beginning of U+FFFD, which stands in damaged text of every language; ￥ is not worth that
        return False
    length, code = (4, partial[0] & 0x07) if partial[0] >= 0xF0 else (3, partial[0] & 0x0F) if partial[0] >= 0xE0 else (2, partial[0] & 0x1F)
    for byte in partial[1:]:
        code = code << 6 | byte & 0x3F
    bits = 6 * (length - len(partial))
    return any_japanese_between(code << bits, ((code + 1) << bits) - 1)


def append_tokens(base: ByteLevelTokenizer, missing: list[bytes], learned: list[bytes]) -> ByteLevelTokenizer:
    """`base` with the bytes `missing` and the tokens `learned` (in merge order) after its last id.

    Every learned token gets one merge rule for each pair of known tokens that spells it, because the same text reaches it through different
    pairs in different surroundings.
    """
    spec: dict[str, Any] = copy.copy(base.spec)
    model = spec["model"] = copy.copy(base.spec["model"])
    new = missing + learned
    first = base.vocab_size
    ids = base.ids | {token: first + offset for offset, token in enumerate(new)}
    # The runtime ignores the id of an added token that the vocabulary does not name, and counts on from the vocabulary's size (Llama-3's would move).
    added = {token["content"]: token["id"] for token in spec["added_tokens"]}
    model["vocab"] = model["vocab"] | added | {to_text(token): ids[token] for token in new}
    rules = [(to_text(token[:cut]), to_text(token[cut:])) for token in learned for cut in range(1, len(token)) if token[:cut] in ids and token[cut:] in ids]
    as_pairs = not model["merges"] or not isinstance(model["merges"][0], str)
    model["merges"] = model["merges"] + [list(rule) if as_pairs else " ".join(rule) for rule in rules]
    return ByteLevelTokenizer(spec)


def _usage(tokenizer: ByteLevelTokenizer, pre_token_counts: dict[str, int]) -> dict[int, int]:
    usage: dict[int, int] = {}
    for text, count in pre_token_counts.items():
        for piece in tokenizer.split(text):
            token_id = tokenizer.ids[piece]
            usage[token_id] = usage.get(token_id, 0) + count
    return usage
