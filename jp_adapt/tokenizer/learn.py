"""Learn new tokens: more candidates than requested, of which those that the real encoder uses least are removed.

1. Single characters first: every Japanese character of the corpus that the base spells with several tokens, and those of everyday Japanese that it
   spells with three or more even where the corpus lacks them (Llama-2 cuts 1,164 kanji of JIS level 1 into bytes that 11 M characters of manuals do
   not hold). They stay whatever their use here: pruned like the others, they cost 5 % on encyclopedic text (SmolLM2).
2. Candidates by byte-pair encoding continued from the base segmentation (Purason et al. 2512.03989), so that each is made of tokens that really
   stand side by side. The segments go to the Rust trainer of `tokenizers`, one code point for each base token.
3. Pruning by measured usage: the corpus is cut with all candidates, and the least used go, until as many are left as were asked for. A candidate that
   only served as a step towards longer ones goes too when they can be reached without it.

A token's worth is the sum over the sources of the square root of its uses there, times the tokens that it saves: a phrase that one source repeats is
worth less than one that all have, since the text to come is of another source. Numbers of this and of what did not win: docs/log.md.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import ceil

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, models, trainers

from jp_adapt.core.errors import InputError
from jp_adapt.text.scripts import EVERYDAY_CHARS, any_japanese_between, is_japanese, script_of
from jp_adapt.tokenizer.bpe import BpeTokenizer, bare_runtime, cut, text_of
from jp_adapt.tokenizer.merges import Pair, append_merges
from jp_adapt.tokenizer.words import Words

CANDIDATES = 1.5  # times the tokens asked for; 2.2 gave the same within 0.1 %
KEPT_SHARE = 0.5  # at most this share of the new tokens goes to characters that no pruning takes away
PRUNE_SHARE = 0.5  # of the tokens in one round
LARGEST = 2**31 - 1  # what the trainer's numbers hold
FIRST_UNIT = 0x10000  # code points of the recoded base tokens: past the surrogates, 983,040 of them


def learn_tokens(
    base: BpeTokenizer, words: Words, num_tokens: int, *, min_count: int = 2, max_token_chars: int = 12, cover: bool = True
) -> tuple[list[bytes], NDArray[np.float64]]:
    """Learn `num_tokens` Japanese tokens.

    Args:
        base: the tokenizer to extend; none of its tokens is learned again.
        words: what to learn from; no token ever crosses a word.
        min_count: a character or a pair must stand at least this often (weighted) to become a candidate; cut by the final tokenizer, it may stand less often.
        max_token_chars: longest token in characters, a leading space apart.
        cover: whether everyday characters that the base spells with three or more tokens come in even where the corpus lacks them.

    Returns:
        The tokens as bytes in merge order, and [num_tokens] how often each stands in the corpus.

    Raises:
        InputError: the words cannot give as many tokens.
    """
    bench = _Bench(base, words)
    characters, kept = _characters(bench, num_tokens, min_count, cover)
    made = characters + _candidates(bench, characters, num_tokens, min_count, max_token_chars)
    parents = {token: set(made_of) for token, made_of in made}
    return _prune(bench, list(parents), parents, kept, num_tokens, min_count)


@dataclass
class _Bench:
    """The base's tokens that a Japanese word can hold, and runtimes that cut the words with some new tokens added.

    Only tokens of a space and of bytes from 0x80 on: building a runtime takes a moment then, where Llama-3's 128,000 tokens and 280,147 rules take
    seconds. Words come in vocabulary form.
    """

    base: BpeTokenizer
    words: Words
    vocab: dict[str, int] = field(init=False)
    merges: list[Pair] = field(init=False)
    texts: list[str] = field(init=False)  # the words as text

    def __post_init__(self) -> None:
        spec = self.base.spec["model"]
        inside = {text: token_id for text, token_id in spec["vocab"].items() if text not in self.base.special_texts and _is_inside(self.base.to_bytes(text))}
        if self.base.is_sentencepiece:
            inside |= {text: token_id for text, token_id in spec["vocab"].items() if text.startswith("<0x") or text == spec.get("unk_token")}
        self.vocab = inside
        self.merges = [pair for pair in self.base.merges if pair[0] in inside and pair[1] in inside and pair[0] + pair[1] in inside]
        self.texts = [self.base.to_bytes(word).decode("utf-8", errors="replace") for word in self.words.texts]

    def runtime(self, new: Sequence[bytes]) -> tuple[Tokenizer, dict[bytes, int]]:
        """A runtime of the base with the tokens `new` in merge order, and their ids."""
        first = self.base.vocab_size
        ids = {token: first + place for place, token in enumerate(new)}
        texts = {self.base.to_text(token): token_id for token, token_id in ids.items()}
        vocab = self.vocab | texts
        merges = append_merges(vocab, self.merges, list(texts), rank_keyed=self.base.is_rank_keyed, base_tokens=self.vocab)
        return bare_runtime(vocab, merges, sentencepiece=self.base.is_sentencepiece), ids

    def cut(self, runtime: Tokenizer, tokens: Sequence[bytes]) -> list[list[int]]:
        return cut(runtime, [self.base.to_text(token) for token in tokens])


def _is_inside(token: bytes) -> bool:
    return all(byte >= 0x80 or byte == 0x20 for byte in token)


def is_admissible(token: bytes, max_chars: int) -> bool:
    """Whether `token` is at most `max_chars` Japanese characters, with a leading space or without, or the first bytes of one."""
    try:
        text = token.decode("utf-8").removeprefix(" ")
    except UnicodeDecodeError as error:
        return error.start == 0 and error.end == len(token) and error.reason == "unexpected end of data" and begins_japanese(token)
    return len(text) <= max_chars and is_japanese(text)


def begins_japanese(partial: bytes) -> bool:
    """Whether some Japanese character begins with the bytes `partial`, which are the first of a character (not those of an emoji or of Hangul)."""
    if partial == b"\xef\xbf":  # also the beginning of U+FFFD, which stands in damaged text of every language; ￥ is not worth that
        return False
    length, code = (4, partial[0] & 0x07) if partial[0] >= 0xF0 else (3, partial[0] & 0x0F) if partial[0] >= 0xE0 else (2, partial[0] & 0x1F)
    for byte in partial[1:]:
        code = code << 6 | byte & 0x3F
    bits = 6 * (length - len(partial))
    return any_japanese_between(code << bits, ((code + 1) << bits) - 1)


_Made = tuple[bytes, tuple[bytes, ...]]  # a token, and the new tokens that it is made of


def _characters(bench: _Bench, num_tokens: int, min_count: int, cover: bool) -> tuple[list[_Made], set[bytes]]:
    """Characters that become tokens, most frequent first, with the partial characters that they need; and those that no pruning takes away."""
    counts: Counter[str] = Counter()
    for text, total in zip(bench.texts, bench.words.totals.tolist(), strict=True):
        for char in text:
            counts[char] += total
    chars = [char for char, count in counts.most_common() if script_of(char) and count >= min_count]
    extra = [char for char in EVERYDAY_CHARS if char not in counts or counts[char] < min_count] if cover else []
    runtime, _ = bench.runtime([])
    every = [char.encode("utf-8") for char in chars + extra]
    spelled = {token: ids for token, ids in zip(every, bench.cut(runtime, every), strict=True) if len(ids) >= (2 if token.decode("utf-8") in counts else 3)}
    room = int(KEPT_SHARE * num_tokens)
    used = [token for token in spelled if token.decode("utf-8") in counts]
    kept = set(spelled) if len(spelled) <= room else set(used[:room])  # all everyday characters that the corpus lacks, or none: it cannot rank them
    made: dict[bytes, tuple[bytes, ...]] = {}
    sizes = {token_id: len(bench.base.to_bytes(text)) for text, token_id in bench.vocab.items()}
    for token, ids in spelled.items():
        if token not in kept and token.decode("utf-8") not in counts:
            continue
        steps, end = [], sizes[ids[0]]
        for token_id in ids[1:-1]:
            end += sizes[token_id]
            steps.append(token[:end])
        if bench.base.is_sentencepiece:  # a character is a unit there, whatever bytes stand for it now
            made[token] = ()
        elif all(begins_japanese(step) for step in steps):
            for place, step in enumerate(steps):
                made.setdefault(step, tuple(steps[:place][-1:]))
            made[token] = tuple(steps[-1:])
    known = {bench.base.to_bytes(text) for text in bench.vocab} if not bench.base.is_sentencepiece else set()
    ordered = sorted((item for item in made.items() if item[0] not in known), key=lambda item: len(item[0]) if text_of(item[0]) is None else 9)
    return ordered, kept


def _candidates(bench: _Bench, characters: list[_Made], num_tokens: int, min_count: int, max_chars: int) -> list[_Made]:
    """Longer tokens in learned order: pairs of neighbours in the base segmentation, characters already whole."""
    new = [token for token, _ in characters]
    runtime, ids = bench.runtime(new)
    unit_text = {token_id: bench.base.to_bytes(text) for text, token_id in bench.vocab.items()} | {token_id: token for token, token_id in ids.items()}
    units: dict[int, str | None] = {}  # id -> its code point; None where it is no Japanese text
    token_of: dict[str, bytes] = {}
    for token_id, token in unit_text.items():
        text = text_of(token)
        whole = text is not None and (text == " " or is_japanese(text.removeprefix(" ")))
        units[token_id] = chr(FIRST_UNIT + len(token_of)) if whole else None
        if whole:
            token_of[chr(FIRST_UNIT + len(token_of))] = token
    segments: Counter[str] = Counter()
    for word, total in zip(cut(runtime, bench.words.texts), bench.words.totals.tolist(), strict=True):
        run: list[str] = []
        for token_id in word:
            unit = units.get(token_id)
            if unit is None:
                segments["".join(run)] += max(1, round(total))
                run = []
            else:
                run.append(unit)
        segments["".join(run)] += max(1, round(total))
    segments = Counter({segment: count for segment, count in segments.items() if len(segment) > 1})
    wanted = max(0, ceil(CANDIDATES * num_tokens) - len(new))
    known = {bench.base.to_bytes(text) for text in bench.vocab} | set(new)
    learned = {token: made_of for token, made_of in _train(segments, token_of, wanted, min_count, max_chars) if token not in known}
    candidates = [(token, tuple(part for part in made_of if part not in known or part in ids)) for token, made_of in learned.items()]
    return [(token, made_of) for token, made_of in candidates if is_admissible(token, max_chars)][:wanted]


def _train(segments: Counter[str], token_of: dict[str, bytes], wanted: int, min_count: int, max_chars: int) -> list[_Made]:
    """Byte-pair encoding of the recoded segments by the Rust trainer; a fifth more rules than wanted, since some of them spell the same string twice."""
    trainer = trainers.BpeTrainer(
        vocab_size=len(token_of) + ceil(1.2 * wanted) + 100,
        min_frequency=min(min_count, LARGEST),
        max_token_length=min(max_chars + 1, LARGEST),
        initial_alphabet=[],
        show_progress=False,
    )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.train_from_iterator((segment for segment, count in segments.items() for _ in range(count)), trainer)
    rules = json.loads(tokenizer.to_str())["model"]["merges"]

    def spell(text: str) -> bytes:
        return b"".join(token_of[unit] for unit in text)

    return [(spell(left) + spell(right), (spell(left), spell(right))) for left, right in rules]


def _prune(
    bench: _Bench, pool: list[bytes], parents: dict[bytes, set[bytes]], kept: set[bytes], num_tokens: int, min_count: int
) -> tuple[list[bytes], NDArray[np.float64]]:
    """Remove the least useful tokens from `pool`, round by round, until `num_tokens` are left."""
    saved = _saved_tokens(bench, pool)
    pool = _reachable(bench, pool)
    while True:
        runtime, _ = bench.runtime(pool)
        first = bench.base.vocab_size
        usage = bench.words.usage(cut(runtime, bench.words.texts), first + len(pool))[:, first:]
        if len(pool) < num_tokens:
            raise InputError(
                f"asked for {num_tokens} new tokens, and the corpus gives {len(pool)} Japanese strings that stand at least {min_count} times; "
                "give more Japanese text, ask for fewer tokens, or lower min_count"
            )
        if len(pool) == num_tokens:
            return pool, usage.sum(axis=0)
        worth = dict(zip(pool, (np.sqrt(usage).sum(axis=0) * [saved[token] for token in pool]).tolist(), strict=True))
        order = sorted((token for token in pool if token not in kept), key=lambda token: (worth[token], token))
        excess = len(pool) - num_tokens
        pool = _without(bench, pool, order, parents, min(excess, max(300, int(PRUNE_SHARE * len(pool)))))


def _without(bench: _Bench, pool: list[bytes], order: list[bytes], parents: dict[bytes, set[bytes]], number: int) -> list[bytes]:
    """`pool` without the first `number` tokens of `order`, those apart that the others need; at least one goes."""
    rest = _removable(bench, pool, set(order[:number]), parents)
    if len(rest) < len(pool):
        return rest
    steps = _steps(pool, parents)
    rest = _removable(bench, pool, set([token for token in order if token not in steps][:number]), parents)
    if len(rest) < len(pool):
        return rest
    longest = max(order, key=len)  # nothing is made of it
    return [token for token in pool if token != longest]


def _removable(bench: _Bench, pool: list[bytes], removed: set[bytes], parents: dict[bytes, set[bytes]]) -> list[bytes]:
    """`pool` without `removed`, those apart without which another token is unreachable: its steps, or else all that its text holds."""
    while removed:
        rest = [token for token in pool if token not in removed]
        dead = set(rest).difference(_reachable(bench, rest))
        if not dead:
            return rest
        needed = removed & _steps(dead, parents)
        removed = removed - (needed or {token for token in removed if any(token in other for other in dead)})
    return pool


def _steps(tokens: Iterable[bytes], parents: dict[bytes, set[bytes]]) -> set[bytes]:
    """The new tokens that `tokens` were made of."""
    return set().union(*(parents[token] for token in tokens))


def _reachable(bench: _Bench, pool: list[bytes]) -> list[bytes]:
    """The tokens that a runtime of them all produces from their own text."""
    while True:
        runtime, ids = bench.runtime(pool)
        alive = [token for token, spelled in zip(pool, bench.cut(runtime, pool), strict=True) if spelled == [ids[token]]]
        if len(alive) == len(pool):
            return pool
        pool = alive


def _saved_tokens(bench: _Bench, pool: list[bytes]) -> dict[bytes, int]:
    """How many tokens each use of a token saves: of a character, all of its base pieces but one; of a longer token, one."""
    runtime, _ = bench.runtime([])
    return {token: len(spelled) - 1 if len(text_of(token) or "") == 1 else 1 for token, spelled in zip(pool, bench.cut(runtime, pool), strict=True)}
