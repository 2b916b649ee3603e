"""Extend a tokenizer with Japanese tokens so that nothing it did before changes."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from jp_adapt.core.errors import InputError
from jp_adapt.text.morphology import phrases, words
from jp_adapt.tokenizer.bpe import MAX_ID, BpeTokenizer, check_normalizer
from jp_adapt.tokenizer.learn import learn_tokens
from jp_adapt.tokenizer.merges import append_merges
from jp_adapt.tokenizer.words import Corpus, count_words

TAUGHT = 20  # uses in the corpus that teach a new row; of tokens seen more rarely comes most of an extended model's loss (docs/log.md, 2026-11-29)
Boundaries = Literal["none", "phrase", "word"]
_CUTS = {"none": None, "phrase": phrases, "word": words}
# Ordinary text of which a tokenizer that normalises, strips or drops gives something else back: half and full width, marks, composed and decomposed kana.
PLAIN_TEXT = "ﾊﾟｿｺﾝ①㌔１２３ Ａｂ  か\u3099が、\u3000é and e\u0301.\n  1 2\tend"


@dataclass(frozen=True, repr=False)
class Extension:
    """An extended tokenizer and, for each new id in order, what it is made of."""

    tokenizer: BpeTokenizer
    first_new_id: int
    tokens: list[bytes]
    sources: list[list[int]]  # base ids that spelled each new token
    counts: list[int]  # occurrences of each new token in the corpus, each line counted once

    def __repr__(self) -> str:
        return f"<Extension of {self.tokenizer.family} by {len(self.tokens):,} tokens, from id {self.first_new_id:,}>"

    @property
    def vocab_size(self) -> int:
        return self.first_new_id + len(self.tokens)


def extend_tokenizer(
    base: BpeTokenizer,
    corpus: Corpus | Iterable[str],
    num_tokens: int | None,
    *,
    min_count: int | None = None,
    max_token_chars: int = 12,
    boundaries: Boundaries = "none",
    cover: bool = True,
) -> Extension:
    """Learn `num_tokens` Japanese tokens from `corpus` and append them to `base`, the most useful first.

    Base ids, base merges and the encoding of every text without Japanese characters stay as they are: new merges come after all base merges,
    and none of them can apply to a text that holds no Japanese (nor one of the few neighbours that share all bytes but the last with a Japanese
    character, such as U+3000). Bytes that the base lacks are added first (beside `num_tokens`), so that every input round-trips.

    Args:
        base: a tokenizer of any of the three families (`BpeTokenizer`).
        corpus: texts, or a `Corpus` of several sources with weights.
        num_tokens: how many tokens to add; None for all that the corpus can teach, those that occur `min_count` times.
        min_count: a new token must occur in the corpus at least this often; by default 2, and `TAUGHT` where no number is given.
        max_token_chars: longest token in characters.
        boundaries: where a token may not cross, while learning: nowhere, at UniDic phrases (bunsetsu), or at UniDic words.
        cover: count everyday characters more often than they occur (`learn_tokens`): they come in even where the corpus lacks them. Not without a number.

    Raises:
        InputError: the base changes its text or loses some of it; `num_tokens` is more than a vocabulary holds; the corpus is empty, holds no Japanese, or
            cannot give `num_tokens` tokens.
    """
    check_extendable(base, "the base tokenizer", num_tokens or 1)
    min_count = least_count(num_tokens, min_count)
    if not isinstance(corpus, Corpus):
        texts, corpus = corpus, Corpus()
        corpus.add("corpus", texts)
    if not sum(corpus.chars):
        raise InputError("the corpus is empty; give text to learn tokens from")
    counted = count_words(corpus, base.words, _CUTS[boundaries])
    if not counted.texts:
        raise InputError(f"the corpus ({sum(corpus.chars):,} characters) holds no Japanese character; give Japanese text to learn tokens from")
    learned, uses = learn_tokens(base, counted, num_tokens, min_count=min_count, max_token_chars=max_token_chars, cover=cover)
    if not learned:
        raise InputError(f"the corpus holds no Japanese string {min_count} times that is no token yet; give more Japanese text, or lower min_count")
    missing = [bytes([byte]) for byte in base.missing_bytes]
    tokens = missing + learned
    return Extension(
        tokenizer=append_tokens(base, missing, learned),
        first_new_id=base.vocab_size,
        tokens=tokens,
        sources=base.split([base.to_text(token) for token in tokens]),
        counts=[0] * len(missing) + [round(use) for use in uses.tolist()],
    )


def least_count(num_tokens: int | None, min_count: int | None) -> int:
    """How often a new token must occur in the corpus."""
    return min_count or (2 if num_tokens else TAUGHT)


def check_extendable(base: BpeTokenizer, place: str, num_tokens: int = 1) -> None:
    """InputError, with the reason, where `base` cannot be given `num_tokens` more tokens."""
    check_normalizer(base.spec, place)
    again = base.decode(base.encode(PLAIN_TEXT))
    if again != PLAIN_TEXT:
        raise InputError(f"{place}: gives {again!r} back of {PLAIN_TEXT!r}; only tokenizers that lose nothing of a text can be extended")
    if base.vocab_size + num_tokens > MAX_ID + 1:
        raise InputError(f"{num_tokens:,} new tokens after {base.vocab_size:,}: no vocabulary holds more than {MAX_ID + 1:,}; ask for fewer")


def append_tokens(base: BpeTokenizer, missing: Sequence[bytes], learned: Sequence[bytes]) -> BpeTokenizer:
    """`base` with the bytes `missing` and the tokens `learned` (in merge order) after its last id."""
    spec: dict[str, Any] = copy.copy(base.spec)
    model = spec["model"] = copy.copy(base.spec["model"])
    new = [base.to_text(token) for token in (*missing, *learned)]
    # The runtime ignores the id of an added token that the vocabulary does not name, and counts on from the vocabulary's size (Llama-3's would move).
    added = {token["content"]: token["id"] for token in spec["added_tokens"]}
    model["vocab"] = model["vocab"] | added | {text: base.vocab_size + place for place, text in enumerate(new)}
    ordinary = [text for text in base.spec["model"]["vocab"] if text not in added]
    as_text = bool(model["merges"]) and isinstance(model["merges"][0], str)
    rules = append_merges(model["vocab"], base.merges, new, rank_keyed=base.is_rank_keyed, base_tokens=ordinary)
    model["merges"] = [" ".join(rule) if as_text else list(rule) for rule in rules]
    return BpeTokenizer(spec)
