"""Learn new tokens in order of worth: byte-pair encoding continued from the base segmentation (Purason et al. 2512.03989), one list for every size.

Next comes what is worth most of all that two neighbours could make then: the sum over the sources of the square root of its uses, times the tokens that a
use saves. A phrase that one source repeats is worth less than one that all have, since the text to come is of another source.

Characters compete by use like everything else. Those of everyday Japanese (kana, punctuation, the 2,965 kanji of JIS level 1) count as if they stood once more
in `EXPECTED_CHARS` characters, because a technical corpus lacks many that the text to come has. Where few tokens are asked for, all of them are worth more
than such a character, and nothing changes.

Every beginning of the list is a tokenizer of its own: tokens are merged by rank, and the parts of each stand before it, so that what its own text is cut
into depends on the tokens up to it alone. Numbers of this and of what did not win: docs/log.md.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from jp_adapt.core.errors import InputError
from jp_adapt.text.scripts import EVERYDAY_CHARS, script_of
from jp_adapt.tokenizer.admission import is_admissible, may_merge
from jp_adapt.tokenizer.bpe import BpeTokenizer, bare_runtime, cut
from jp_adapt.tokenizer.merges import Pair, append_merges
from jp_adapt.tokenizer.units import END, Found, Units, halves, pair_of
from jp_adapt.tokenizer.words import Words

EXPECTED_CHARS = 40_000
UNSEEN = 0.2  # of that, where no word has the character
INSIDE = re.compile(rb"[ \x80-\xff]*")  # what a Japanese word can hold
_Best = tuple[float, bytes, int]  # (-worth, token, the pair that makes it; or ~unit of a sleeper)


class TooFewStrings(InputError):
    """A corpus that cannot give as many tokens; it may give fewer."""


def learn_tokens(
    base: BpeTokenizer, words: Words, num_tokens: int | None, *, min_count: int = 2, max_token_chars: int = 12, cover: bool = True
) -> tuple[list[bytes], NDArray[np.float64]]:
    """Learn `num_tokens` Japanese tokens, the most useful first.

    Args:
        base: the tokenizer to extend; none of its tokens is learned again.
        words: what to learn from; no token ever crosses a word.
        num_tokens: None for all that occur `min_count` times.
        min_count: a token occurs at least this often (weighted) when it is added; longer ones that are made of it may take most of its uses later.
        max_token_chars: longest token in characters, a leading space apart.
        cover: whether everyday characters count for more than they occur, so that some are added below `min_count`. Not where `num_tokens` is None.

    Returns:
        The tokens as bytes in order of worth, parts before what is made of them, and [num_tokens] how often each occurs in the corpus. What is learned for
        a smaller number is the beginning of the same list.

    Raises:
        InputError: the words cannot give as many tokens.
    """
    learner = _Learner(base, words, min_count, max_token_chars, cover=cover and num_tokens is not None)
    learner.learn(num_tokens)
    tokens = list(learner.learned)
    if len(tokens) < (num_tokens or 0):
        raise TooFewStrings(
            f"asked for {num_tokens:,} new tokens, and the corpus gives {len(tokens):,} Japanese strings that stand at least {min_count} times; "
            "give more Japanese text, ask for fewer tokens, or lower min_count"
        )
    return tokens, learner.uses()


class _Bench:
    """The base's tokens that a Japanese word can hold, and runtimes that cut words with characters added.

    Only tokens of a space and of bytes from 0x80 on: building a runtime takes a moment then, where Llama-3's 128,000 tokens and 280,147 rules take
    seconds.
    """

    def __init__(self, base: BpeTokenizer) -> None:
        self.base = base
        vocab: dict[str, int] = base.spec["model"]["vocab"]
        self.vocab = {text: token_id for text, token_id in vocab.items() if text not in base.special_texts and INSIDE.fullmatch(base.token_bytes[token_id])}
        if base.is_sentencepiece:
            self.vocab |= {text: token_id for text, token_id in vocab.items() if text.startswith("<0x") or text == base.spec["model"].get("unk_token")}
        inside = self.vocab
        self.merges: list[Pair] = [pair for pair in base.merges if pair[0] in inside and pair[1] in inside and pair[0] + pair[1] in inside]

    def runtime(self, chars: Sequence[bytes] = ()) -> Tokenizer:
        """A runtime of the base, with characters as tokens after its last id."""
        texts = {self.base.to_text(token): self.base.vocab_size + place for place, token in enumerate(chars)}
        vocab = self.vocab | texts
        merges = append_merges(vocab, self.merges, list(texts), rank_keyed=self.base.is_rank_keyed, base_tokens=self.vocab)
        return bare_runtime(vocab, merges, sentencepiece=self.base.is_sentencepiece)

    def characters(self, texts: Sequence[str], totals: NDArray[np.float64]) -> dict[bytes, list[int]]:
        """The Japanese characters of `texts` and of everyday Japanese that the base spells with several tokens, the most frequent first, and these tokens."""
        here: Counter[str] = Counter()
        for text, total in zip(texts, totals.tolist(), strict=True):
            for char in text:
                here[char] += total
        ordered = [char for char, _ in here.most_common() if script_of(char)] + [char for char in EVERYDAY_CHARS if char not in here]
        chars = [char.encode("utf-8") for char in ordered]
        spelled = cut(self.runtime(), [self.base.to_text(char) for char in chars])
        return {char: pieces for char, pieces in zip(chars, spelled, strict=True) if len(pieces) > 1}


class _Learner:
    """Words in units, and a heap of what could become a token.

    A unit is a token by its id, or a character that a SentencePiece base spells with bytes: it sleeps, and merges with nothing, until it becomes a token.
    """

    def __init__(self, base: BpeTokenizer, words: Words, min_count: int, max_chars: int, *, cover: bool) -> None:
        self.base, self.min_count, self.max_chars, self.first_new = base, min_count, max_chars, base.vocab_size
        bench, counts = _Bench(base), words.by_source()
        self.rules = set(bench.merges)
        texts = [base.to_bytes(word).decode("utf-8", errors="replace") for word in words.texts]
        self.pieces = bench.characters(texts, counts.sum(axis=1))
        self.sleepers = {char: base.vocab_size + place for place, char in enumerate(self.pieces if base.is_sentencepiece else ())}
        self.waiting: dict[int, list[int]] = {unit: [] for unit in self.sleepers.values()}  # the pairs of each sleeper
        self.next_unit = base.vocab_size + len(self.sleepers)
        self.unit_of = {base.to_bytes(text): token_id for text, token_id in bench.vocab.items()}  # of tokens: sleepers are none yet
        self.bytes_of = {unit: token for token, unit in (self.unit_of | self.sleepers).items()}
        self.learned: dict[bytes, int] = {}  # the unit of each new token, in order of worth
        self.expected = counts.T @ np.array([len(text) for text in texts]) / EXPECTED_CHARS  # [S] uses of an everyday character
        self.steps = self._everyday_steps(base.is_sentencepiece) if cover else {}
        seen = {char.encode("utf-8") for char in set().union(*texts)}
        self.prior: dict[bytes, float] = {}  # of the tokens that everyday characters need: how often each is expected, in units of `expected`
        self.after: dict[bytes, list[bytes]] = {}  # the everyday characters that have a step after this token
        for char, steps in self.steps.items():
            for token in steps:
                self.prior[token] = self.prior.get(token, 0.0) + (1.0 if char in seen else UNSEEN)
            for token in steps[:-1]:
                self.after.setdefault(token, []).append(char)
        merging = {unit: unit if may_merge(token) else END for unit, token in self.bytes_of.items()}
        ids = cut(bench.runtime(list(self.sleepers)), words.texts)
        self.units = Units([[merging.get(token_id, END) for token_id in word] for word in ids], counts)
        self.heap: list[_Best] = []
        self._enter(self.units.all_pairs())
        self._enter_sleepers()
        if not base.is_sentencepiece:
            self._enter_steps(self.steps)

    def learn(self, num_tokens: int | None) -> None:
        """Learn tokens until there are `num_tokens`, or nothing is left."""
        while num_tokens is None or len(self.learned) < num_tokens:
            best = self._best()
            if best is None:
                return
            self._add(best[1], best[2])

    def uses(self) -> NDArray[np.float64]:
        """[tokens] how often each new token occurs now."""
        uses: NDArray[np.float64] = self.units.unit_uses(list(self.learned.values())).sum(axis=1)
        return uses

    def _worth(self, token: bytes, uses: NDArray[np.float64]) -> float:
        saved = len(self.pieces[token]) - 1 if token in self.sleepers else 1
        return saved * float(np.sqrt(uses + self.prior.get(token, 0.0) * self.expected).sum())

    def _best(self) -> _Best | None:
        """What is worth most now, taken from the heap. A worth only falls, so that an old one is a bound."""
        while self.heap:
            _, token, pair = best = heapq.heappop(self.heap)
            if token in self.unit_of or not is_admissible(token, self.max_chars):
                continue
            if pair >= 0:
                uses = self.units.uses_of(pair)
                if uses.sum() < self.min_count and token not in self.prior:
                    continue
                best = -self._worth(token, uses), token, pair
                if self.heap and best > self.heap[0]:
                    heapq.heappush(self.heap, best)
                    continue
            return best
        return None

    def _add(self, token: bytes, pair: int) -> None:
        """Make `token` of a pair, or of the sleeper ~pair."""
        unit = ~pair if pair < 0 else self.next_unit
        self.learned[token] = self.unit_of[token] = unit
        self.bytes_of[unit] = token
        if pair < 0:
            self._wake(unit)
            return
        self.next_unit += 1
        self._merge(pair, unit)
        self._enter_steps(self.after.get(token, ()))

    def _merge(self, pair: int, unit: int) -> None:
        """Merge a pair, and at once whatever then spells a token that is there already, as a runtime does by that token's earlier rank.

        Llama-3 has ーション, which its own rules never reach; with ーシ and ョン it is reached, before anything longer is made of ーシ.
        """
        waiting = [(unit, pair)]
        while waiting:
            unit, pair = heapq.heappop(waiting)
            for existing, spelled in self._enter(self.units.merge(pair, unit)):
                if may_merge(self.bytes_of[existing]) and self._has_rule(*halves(spelled)):
                    heapq.heappush(waiting, (existing, spelled))

    def _has_rule(self, left: int, right: int) -> bool:
        """Whether a runtime merges two tokens whose text is a token: always where one is new (`append_merges`), else by the base's own rules."""
        return max(left, right) >= self.first_new or (self.base.to_text(self.bytes_of[left]), self.base.to_text(self.bytes_of[right])) in self.rules

    def _enter(self, found: Found) -> list[tuple[int, int]]:
        """Put pairs into the heap that are frequent enough; those of a sleeper wait until it is a token. Those that spell a token that is there come back,
        with its unit."""
        existing = []
        frequent = np.flatnonzero(found.uses.sum(axis=1) >= self.min_count)
        for number, worth in zip(frequent.tolist(), np.sqrt(found.uses[frequent]).sum(axis=1).tolist(), strict=True):
            left, right = halves(found.pairs[number])
            waiting = self.waiting.get(left, self.waiting.get(right))
            token = self.bytes_of[left] + self.bytes_of[right]
            if waiting is not None:
                waiting.append(found.pairs[number])
            elif (unit := self.unit_of.get(token)) is not None:
                existing.append((unit, found.pairs[number]))
            else:
                heapq.heappush(self.heap, (-worth, token, found.pairs[number]))
        return existing

    def _wake(self, unit: int) -> None:
        """Let a sleeper's pairs into the heap."""
        pairs = self.waiting.pop(unit)
        if pairs:
            self._enter(Found(pairs, np.stack([self.units.uses_of(pair) for pair in pairs])))

    def _enter_sleepers(self) -> None:
        uses = self.units.unit_uses(list(self.waiting))
        for (char, unit), each in zip(self.sleepers.items(), uses, strict=True):
            if each.sum() >= self.min_count or char in self.prior:
                heapq.heappush(self.heap, (-self._worth(char, each), char, ~unit))

    def _everyday_steps(self, whole: bool) -> dict[bytes, list[bytes]]:
        """The tokens by which each everyday character becomes one: parts of it, and itself. `whole`: itself alone."""
        results = {}
        for char in (char.encode("utf-8") for char in EVERYDAY_CHARS):
            if char in self.pieces:
                pieces = [self.bytes_of[piece] for piece in self.pieces[char]]
                steps = [char] if whole else [token for token in list(accumulate(pieces))[1:] if token not in self.unit_of]
                if all(is_admissible(token, self.max_chars) for token in steps):
                    results[char] = steps
        return results

    def _enter_steps(self, chars: Iterable[bytes]) -> None:
        """Put the next step of each everyday character into the heap: it may stand nowhere in the words."""
        for char in chars:
            left = self.bytes_of[self.pieces[char][0]]
            for piece in self.pieces[char][1:]:
                token = left + self.bytes_of[piece]
                if token not in self.unit_of:
                    pair = pair_of(self.unit_of[left], piece)
                    heapq.heappush(self.heap, (-self._worth(token, self.units.uses_of(pair)), token, pair))
                    break
                left = token
